"""Grad-CAM (Selvaraju et al., ICCV 2017) through captum: where a network's evidence for a class lies."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def grad_cam(
    model: nn.Module, layer: nn.Module, images: Float[Tensor, "N 3 H W"], classes: Int[Tensor, " N"]
) -> Float[Tensor, "N h w"]:
    """The ReLU of the layer's maps, weighted by the mean gradient of each class score; the model's mode is restored.

    Args:
        model: a classifier (N, 3, H, W) -> (N, classes).
        layer: one of its layers, usually the last stage.
        images: as the model takes them, normalised.
        classes: the class to explain, one per image.
    """
    from captum.attr import LayerGradCam  # slow to import, and only this function needs it

    training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            heat = LayerGradCam(model, layer).attribute(images, target=classes, relu_attributions=True)
    finally:
        model.train(training)
    return heat[:, 0].detach()
