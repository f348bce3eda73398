#!/usr/bin/env python3
"""Writes data/schedules.json: what learning rates are at each of 120 steps of a run of 100, in float64.

PyTorch's where it has the schedule with the same rule, else the paper's equation. A case is the schedule in the language and its rates; PyTorch's recurrent forms end with the run, so that their
cases have 100 steps.

    python3 schedules.py
"""
import json
import math
import os

import torch
from torch.optim import lr_scheduler as S

TOTAL, STEPS = 100, 120


def with_torch(rate, make, steps=TOTAL):
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=rate)
    schedule, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def by_rule(rule, steps=STEPS):
    return [rule(s) for s in range(steps)]


def half(a, b, t):
    return b + (a - b) * 0.5 * (1 + math.cos(math.pi * min(1, max(0, t))))


CASES = {
    "0.3": by_rule(lambda s: 0.3),
    "constant(0.3)": by_rule(lambda s: 0.3),
    "cosine(0.1, floor = 0.01)": with_torch(0.1, lambda o: S.CosineAnnealingLR(o, TOTAL, 0.01)),
    "step(0.1, every = 30 steps, factor = 0.5)": with_torch(0.1, lambda o: S.StepLR(o, 30, 0.5), STEPS),
    "exponential(0.1, every = 10 steps, factor = 0.5)": with_torch(0.1, lambda o: S.ExponentialLR(o, 0.5 ** 0.1), STEPS),
    "linear(0.1, total = 50 steps, floor = 0.02)": with_torch(0.1, lambda o: S.LinearLR(o, 1.0, 0.2, 50), STEPS),
    "one_cycle(0.1)": with_torch(0.1, lambda o: S.OneCycleLR(o, 0.1, total_steps=TOTAL), TOTAL - 1),
    "piecewise([30 steps, 70 steps], [0.1, 0.05, 0.025])": with_torch(0.1, lambda o: S.MultiStepLR(o, [30, 70], 0.5), STEPS),
    "inverse_sqrt(0.1, warmup = 16 steps)": by_rule(lambda s: 0.1 * 4 * min((s + 1) ** -0.5, (s + 1) * 16 ** -1.5)),  # Vaswani et al. 2017, section 5.3
    "warmup_linear(0.1, warmup = 20 steps)": by_rule(lambda s: 0.1 * (s + 1) / 20 if s < 20 else 0.1 * max(0, (TOTAL - s) / (TOTAL - 20))),  # Devlin et al. 2019
    "warmup_cosine(0.1, warmup = 20 steps, floor = 0.01)": by_rule(lambda s: 0.1 * (s + 1) / 20 if s < 20 else half(0.1, 0.01, (s - 20) / (TOTAL - 20))),
    "linear(0.1) |> then(cosine(0.05), at = 40 steps)": by_rule(lambda s: 0.1 * (1 - s / 40) if s < 40 else half(0.05, 0, (s - 40) / 60)),
}

if __name__ == "__main__":
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "schedules.json"), "w") as f:
        json.dump([{"text": text, "rates": rates} for text, rates in CASES.items()], f)
    print(len(CASES), "schedules")
