"""Muon: steps of matrices are made orthogonal before they are taken. Entry point: :class:`Muon`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch

MOMENTUM = 0.95
ITERATIONS = 5
# Odd polynomial a x + b x^3 + c x^5 of the iteration; it brings all in (0, 1] close to 1.
POLYNOMIAL = (3.4445, -4.7750, 2.0315)
# Root mean square of an orthogonal step by that of one of Adam's, so that both share a rate.
LIKE_ADAM = 0.2


class Muon(torch.optim.Adam):
    """Muon for what mixes channels, Adam for all else.

    The step of a matrix is its momentum (Nesterov's) with all singular values brought close to 1:
    directions that gradients rarely point to are learnt as fast as the others. Jordan et al.,
    "Muon: An optimizer for hidden layers in neural networks", 2024; steps are as large as Adam's
    (Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, equation 4).
    ``torch.optim.Muon`` takes no convolutions, and computes in bfloat16, which most CPUs do slowly.

    Matrices are parameters ``(out, in, ...)`` with more than one channel in and out.

    Args:
        params: of the network.
        lr: learning rate of both.
        weight_decay: of matrices apart from the gradient, of all else as Adam's.
        fused: as :class:`torch.optim.Adam`.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        weight_decay: float = 0.0,
        fused: bool | None = None,
    ) -> None:
        groups: tuple[list[torch.nn.Parameter], ...] = ([], [])
        for parameter in params:
            groups[_is_matrix(parameter)].append(parameter)
        named = [{"params": group, "matrices": bool(kind)} for kind, group in enumerate(groups)]
        super().__init__(
            [group for group in named if group["params"]],
            lr=lr,
            weight_decay=weight_decay,
            fused=fused,
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; returns what ``closure`` does, which computes the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        for group in groups:
            if group["matrices"]:
                self._step_matrices(group)
        self.param_groups = [group for group in groups if not group["matrices"]]
        try:
            super().step()
        finally:
            self.param_groups = groups
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        alike = defaultdict(list)  # matrices of a shape are computed at once
        for parameter in group["params"]:
            if parameter.grad is not None:
                alike[parameter.shape, parameter.device].append(parameter)
        for parameters in alike.values():
            steps = orthogonal(torch.stack([self._momentum(p) for p in parameters]))
            scale = LIKE_ADAM * max(steps.shape[1:]) ** 0.5 * group["lr"]
            for parameter, step in zip(parameters, steps, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(step.view_as(parameter), alpha=scale)

    def _momentum(self, parameter: torch.nn.Parameter) -> torch.Tensor:
        """Nesterov's momentum of a matrix, ``(out, in)``, with its gradient taken in."""
        state, gradient = self.state[parameter], cast(torch.Tensor, parameter.grad)
        if not state:
            # Adam, which reads states from files, expects the number of steps in each.
            state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(parameter)
        state["step"] += 1
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM).flatten(1)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Bring singular values close to 1, by the iteration of Newton and Schulz.

    Args:
        matrices: ``(matrix, out, in)``; zeros stay zeros.

    Returns:
        of the same shape; singular values of about 0.7 to 1.2, but those that were next to nothing
        beside the matrix' norm are less.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    a, b, c = POLYNOMIAL
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


def _is_matrix(parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim > 1 and min(parameter.shape[:2]) > 1
