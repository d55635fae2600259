"""Small networks for images whose filters are chosen: ResNet-9 and a padded U-Net.

NASAIC (Yang et al., DAC 2020, arXiv 2002.04116) searches the filters of a ResNet-9 for CIFAR-10 and
STL-10 and height and filters of a U-Net for the nuclei of the Data Science Bowl 2018. Its lists of
choices are not at hand: the shapes here are those of the public networks, the widths ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.networks.builder import Builder
from archgym.cost_models.accelerator.operators import ConvTranspose2d

IMAGES = {"cifar10": 32, "stl10": 96}
"""Edges of the images of both data sets."""

_NUCLEI = 128
_RESNET = re.compile(r"resnet9-(cifar10|stl10)-w(\d+)")
_UNET = re.compile(r"unet-nuclei-h(\d+)-w(\d+)")
_WIDTHS, _HEIGHTS, _UNET_WIDTHS = (8, 16, 32, 64), (2, 3, 4), (4, 8, 16, 32)


def small_networks() -> dict[str, str]:
    """Names with one line each; `make_small` takes any other width and height too."""
    found = {
        f"resnet9-{data}-w{width}": f"ResNet-9, {edge} x {edge}, first layer of {width} filters"
        for data, edge in IMAGES.items()
        for width in _WIDTHS
    }
    return found | {
        f"unet-nuclei-h{height}-w{width}": f"U-Net, {_NUCLEI} x {_NUCLEI}, {height} levels down, "
        f"first one of {width} filters"
        for height in _HEIGHTS
        for width in _UNET_WIDTHS
    }


def make_small(name: str, batch: int = 1) -> Network:
    """Make one of them.

    Raises:
        ValueError: For a name of another form, or a U-Net of more levels than its images allow.
    """
    if found := _RESNET.fullmatch(name):
        return _resnet9(name, batch, IMAGES[found[1]], int(found[2]))
    if found := _UNET.fullmatch(name):
        return _unet(name, batch, int(found[1]), int(found[2]))
    raise ValueError(
        f"network: unknown name {name!r}. Allowed: resnet9-cifar10-wN, resnet9-stl10-wN and "
        f"unet-nuclei-hN-wN with numbers N"
    )


def _resnet9(name: str, batch: int, edge: int, width: int) -> Network:
    b = Builder(name, "Page, How to train your ResNet, 2018 (there 64 filters first)")
    x = b.conv("prep", b.input("image", batch, 3, edge, edge), width, 3, act="relu")
    for number, residual in ((1, True), (2, False), (3, True)):
        with b.block(f"layer{number}"):
            x = b.conv("conv", x, width << number, 3, act="relu")
            x = b.pool("pool", x, 2, 2)
            if residual:
                y = b.conv("res1", x, width << number, 3, act="relu")
                y = b.conv("res2", y, width << number, 3, act="relu")
                x = b.elementwise("add", "add", x, y)
    return b.build(b.linear("classes", b.global_pool("mean", x), 10))


def _unet(name: str, batch: int, height: int, width: int) -> Network:
    if height < 1 or _NUCLEI % 2**height:
        raise ValueError(f"network {name!r}: {height} levels, must be from 1 to 7")
    b = Builder(name, "Ronneberger et al., MICCAI 2015, with padding")
    x, skips = b.input("image", batch, 3, _NUCLEI, _NUCLEI), []
    for level in range(height + 1):
        with b.block(f"down{level}"):
            x = _double(b.conv, x, width << level)
            if level < height:
                skips.append(x)
                x = b.pool("pool", x, 2, 2)
    for level in range(height - 1, -1, -1):
        with b.block(f"up{level}"):
            n, c, h, w = b.shape(x)
            up = ConvTranspose2d(
                name="up", n=n, c=c, h=h, w=w, k=width << level, r=2, s=2, stride=(2, 2), bias=True
            )
            x = _double(b.conv, (skips[level], b.add(up, x)), width << level)
    return b.build(b.conv("mask", x, 1, 1, bias=True, norm=""))


def _double(conv: Callable[..., str], x: str | tuple[str, ...], k: int) -> str:
    return conv("conv2", conv("conv1", x, k, 3, act="relu"), k, 3, act="relu")
