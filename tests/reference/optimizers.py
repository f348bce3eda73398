#!/usr/bin/env python3
"""Writes data/optimizers.npz: where optimizers go, step by step, in float64.

Three functions: Rosenbrock's (1960) from (-1.2, 1), Beale's (1958) from (1, 1), and a quadratic of a 3x2 matrix, so that what treats
matrices as such (Adafactor, LAMB's lengths) is seen. PyTorch where it has the optimizer with the same rule, else the paper's rule
in NumPy. Each array is named OPTIMIZER.FUNCTION and holds the parameter after every step, 50 of them, or 12 of L-BFGS.

    python3 optimizers.py
"""
import os
import numpy as np
import torch

STEPS = 50
SEARCHES = 12  # a line search amplifies rounding, tenfold every step or two
A = np.array([[1.0, 4.0], [9.0, 2.0], [0.5, 3.0]])
CENTRE = np.array([[0.3, -0.7], [1.1, 0.2], [-0.4, 0.9]])


def rosenbrock(w):
    return 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2


def beale(w):
    x, y = w[0], w[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y ** 2) ** 2 + (2.625 - x + x * y ** 3) ** 2


def quadratic(w):
    a, c = torch.tensor(A), torch.tensor(CENTRE)
    return 0.5 * (a * (w - c) ** 2).sum() + 0.25 * (w.sum()) ** 2


FUNCTIONS = {
    "rosenbrock": (rosenbrock, np.array([-1.2, 1.0])),
    "beale": (beale, np.array([1.0, 1.0])),
    "quadratic": (quadratic, np.array([[1.0, 2.0], [-1.5, 0.5], [2.0, -2.0]])),
}


def value_and_gradient(f, w):
    t = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    y = f(t)
    y.backward()
    return float(y.detach()), t.grad.numpy().copy()


def with_torch(make):
    def run(f, start):
        w = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimizer = make([w])
        path = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            f(w).backward()
            optimizer.step()
            path.append(w.detach().numpy().copy())
        return np.array(path)
    return run


def by_rule(rule):
    """rule(state, w, g, t) gives the next w."""
    def run(f, start):
        w, state, path = start.copy(), {}, []
        for t in range(1, STEPS + 1):
            _, g = value_and_gradient(f, w)
            w = rule(state, w, g, t)
            path.append(w.copy())
        return np.array(path)
    return run


def moments(state, g, b1, b2):
    state["m"] = b1 * state.get("m", 0) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0) + (1 - b2) * g * g
    return state["m"], state["v"]


def nadam(state, w, g, t, lr=0.01, b1=0.9, b2=0.999, eps=1e-8):
    m, v = moments(state, g, b1, b2)
    ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1 ** t)
    return w - lr * ahead / (np.sqrt(v / (1 - b2 ** t)) + eps)


def lamb(state, w, g, t, lr=0.02, b1=0.9, b2=0.999, eps=1e-6, decay=0.01):
    m, v = moments(state, g, b1, b2)
    r = m / (1 - b1 ** t) / (np.sqrt(v / (1 - b2 ** t)) + eps) + decay * w
    length, move = np.sqrt((w * w).sum()), np.sqrt((r * r).sum())
    return w - lr * (length / move if length > 0 and move > 0 else 1.0) * r


def lion(state, w, g, t, lr=0.01, b1=0.9, b2=0.99, decay=0.1):
    m = state.get("m", np.zeros_like(w))
    move = np.sign(b1 * m + (1 - b1) * g)
    state["m"] = b2 * m + (1 - b2) * g
    return w - lr * decay * w - lr * move


def adafactor(state, w, g, t, lr=0.01, eps1=1e-30, eps2=1e-3, clip=1.0, power=0.8, b1=0.0, decay=0.0, relative=True, scale=True):
    """Algorithms 4 and 5 of Shazeer and Stern (2018), with the sizes of section 8."""
    rms = lambda x: np.sqrt((x * x).mean())
    rate = (min(lr, 1 / np.sqrt(t)) if relative else lr) * (max(eps2, rms(w)) if scale else 1.0)
    beta2 = 1 - t ** -power
    square = g * g + eps1
    if w.ndim >= 2:
        state["r"] = beta2 * state.get("r", 0) + (1 - beta2) * square.sum(-1)
        state["c"] = beta2 * state.get("c", 0) + (1 - beta2) * square.sum(-2)
        v = state["r"][..., :, None] * state["c"][..., None, :] / state["r"].sum(-1)[..., None, None]
    else:
        state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * square
        v = state["v"]
    u = g / np.sqrt(v)
    u = u / max(1.0, rms(u) / clip)
    if b1 > 0:
        state["m"] = b1 * state.get("m", 0) + (1 - b1) * u
        u = state["m"]
    return w - rate * decay * w - rate * u


def lbfgs(f, start, history=10, lr=1.0, c1=1e-4, c2=0.9, trials=30):
    """The two-loop recursion of Nocedal (1980); a weak Wolfe line search by doubling and bisection from the rate on (Lewis and Overton 2013);
    the first step is 1 / max(1, |g|) times the rate."""
    w = start.copy().ravel()
    at = lambda v: (lambda y, g: (y, g.ravel()))(*value_and_gradient(f, v.reshape(start.shape)))
    y, g = at(w)
    pairs, path = [], []
    for k in range(SEARCHES):
        q, alphas = g.copy(), []
        for s, d in reversed(pairs):
            a = s @ q / (s @ d)
            alphas.append(a)
            q = q - a * d
        if pairs:
            s, d = pairs[-1]
            q = q * ((s @ d) / (d @ d))
        for (s, d), a in zip(pairs, reversed(alphas)):
            q = q + (a - d @ q / (s @ d)) * s
        direction = -q
        slope = g @ direction
        if not slope < 0:
            pairs, direction = [], -g
            slope = g @ direction
        step = lr if pairs else lr / max(1.0, np.sqrt(g @ g))
        low, high, found = 0.0, np.inf, False
        for _ in range(trials):
            trial = w + step * direction
            ty, tg = at(trial)
            if not ty <= y + c1 * step * slope:
                high = step
            elif tg @ direction < c2 * slope:
                low = step
            else:
                found = True
                break
            step = 2 * low if np.isinf(high) else (low + high) / 2
        if found or ty < y:
            s, d = trial - w, tg - g
            if s @ d > 1e-10 * (d @ d):
                pairs = (pairs + [(s, d)])[-history:]
            w, y, g = trial, ty, tg
        path.append(w.reshape(start.shape).copy())
        if np.abs(g).max() < 1e-6:
            break  # beyond, rounding decides what the search sees
    return np.array(path)


from functools import partial
OPTIMIZERS = {
    "sgd": with_torch(lambda p: torch.optim.SGD(p, lr=1e-3)),
    "momentum": with_torch(lambda p: torch.optim.SGD(p, lr=1e-4, momentum=0.9)),
    "nesterov": with_torch(lambda p: torch.optim.SGD(p, lr=1e-4, momentum=0.9, nesterov=True)),
    "adam": with_torch(lambda p: torch.optim.Adam(p, lr=0.01)),
    "adamw": with_torch(lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    "rmsprop": with_torch(lambda p: torch.optim.RMSprop(p, lr=0.01)),
    "rmsprop_momentum": with_torch(lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-6, momentum=0.5)),
    "adagrad": with_torch(lambda p: torch.optim.Adagrad(p, lr=0.1)),
    "nadam": by_rule(nadam),
    "lamb": by_rule(lamb),
    "lion": by_rule(lion),
    "adafactor": by_rule(adafactor),
    "adafactor_plain": by_rule(partial(adafactor, lr=0.05, relative=False, scale=False, b1=0.9, decay=0.01, clip=0.5, power=0.6)),
    "lbfgs": lbfgs,
    "lbfgs_short": partial(lbfgs, history=2, lr=0.5),
}

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    paths = {f"{name}.{on}": run(f, start) for name, run in OPTIMIZERS.items() for on, (f, start) in FUNCTIONS.items()}
    for name, path in paths.items():
        assert np.isfinite(path).all(), name
    os.makedirs(os.path.join(here, "data"), exist_ok=True)
    np.savez_compressed(os.path.join(here, "data", "optimizers.npz"), **paths)
    for name, path in sorted(paths.items()):
        print(f"{name:28} ends at {np.array2string(path[-1].ravel(), precision=6)}")
