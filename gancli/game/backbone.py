"""The choice of backbone, multilayer perceptron or convolutional, for systems that prescribe neither."""

from gancli.data.spec import DataSpec
from gancli.errors import UserError, check_choice
from gancli.networks.layers import NORMS

BACKBONES = ("mlp", "conv")
CONV_MIN_SIDE = 8


def check_backbone(backbone: str, discriminator_norm: str) -> None:
    """Raise a ValueError if there is no such backbone or it cannot have that norm."""
    check_choice("model.backbone", backbone, BACKBONES)
    check_choice("model.discriminator_norm", discriminator_norm, NORMS)
    if backbone == "mlp" and discriminator_norm == "instance":
        raise ValueError("model.discriminator_norm=instance needs maps to normalize over, which backbone=mlp has not: "
                         "set model.discriminator_norm=layer or model.backbone=conv")


def check_backbone_data(name: str, backbone: str, spec: DataSpec) -> None:
    """Raise a UserError if the convolutional backbone cannot take such data; an MLP takes any."""
    if backbone != "conv":
        return
    if not spec.is_image:
        raise UserError(f"model={name} model.backbone=conv needs images and this data set holds points: "
                        "set model.backbone=mlp.")
    if min(spec.shape[1:]) < CONV_MIN_SIDE:
        raise UserError(f"model={name} model.backbone=conv needs images of at least {CONV_MIN_SIDE}x{CONV_MIN_SIDE} "
                        f"and these are {spec.shape[1]}x{spec.shape[2]}: give dataset.size={CONV_MIN_SIDE} or more, "
                        "or model.backbone=mlp.")
