#!/usr/bin/env python3
"""Writes data/ctc.npz: PyTorch's connectionist temporal classification in float64, losses of rows and the gradient of their sum with respect to logits.

    python3 ctc.py
"""
import os
import numpy as np
import torch

CASES = {  # name: (B, T, C, S, lengths, label lengths, blank)
    "plain": (3, 7, 5, 3, [7, 7, 7], [3, 3, 3], 0),
    "lengths": (4, 9, 4, 4, [9, 5, 7, 8], [4, 2, 0, 3], 0),
    "blank": (2, 6, 3, 2, [6, 4], [2, 1], 2),
}

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    random = np.random.default_rng(7)
    out = {}
    for name, (B, T, C, S, lengths, label_lengths, blank) in CASES.items():
        classes = [c for c in range(C) if c != blank]
        logits = random.normal(size=(B, T, C)) * 2
        labels = random.choice(classes, size=(B, S))
        labels[0, 1:2] = labels[0, 0]  # a repetition, which a blank must part
        x = torch.tensor(logits, requires_grad=True)
        losses = torch.nn.functional.ctc_loss(
            torch.log_softmax(x, 2).transpose(0, 1), torch.tensor(labels), torch.tensor(lengths), torch.tensor(label_lengths), blank=blank, reduction="none")
        losses.sum().backward()
        out |= {f"{name}.logits": logits, f"{name}.labels": labels.astype(np.int64), f"{name}.lengths": np.array(lengths), f"{name}.label_lengths": np.array(label_lengths),
                f"{name}.blank": np.array(blank), f"{name}.losses": losses.detach().numpy(), f"{name}.gradient": x.grad.numpy()}
        print(name, losses.detach().numpy())
    np.savez_compressed(os.path.join(here, "data", "ctc.npz"), **out)
