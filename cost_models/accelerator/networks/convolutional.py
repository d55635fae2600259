"""Convolutional networks: AlexNet, VGG, ResNet, MobileNet, EfficientNet, U-Net."""

from __future__ import annotations

from archgym.cost_models.accelerator.network import Network
from archgym.cost_models.accelerator.networks.builder import Builder
from archgym.cost_models.accelerator.operators import ConvTranspose2d


def _image(b: Builder, batch: int, size: int = 224, channels: int = 3) -> str:
    return b.input("image", batch, channels, size, size)


def alexnet(batch: int) -> Network:
    """AlexNet in the single-tower form of Krizhevsky, 2014 (arXiv 1404.5997), as in torchvision."""
    b = Builder("alexnet", "Krizhevsky, arXiv 1404.5997; torchvision alexnet")
    x = _image(b, batch)
    for i, (k, size, stride, padding, pooled) in enumerate(
        (
            (64, 11, 4, 2, True),
            (192, 5, 1, 2, True),
            (384, 3, 1, 1, False),
            (256, 3, 1, 1, False),
            (256, 3, 1, 1, True),
        ),
        1,
    ):
        x = b.conv(
            f"conv{i}", x, k, size, stride=stride, padding=padding, bias=True, norm="", act="relu"
        )
        if pooled:
            x = b.pool(f"pool{i}", x, 3, 2)
    for name, width in (("fc6", 4096), ("fc7", 4096)):
        x = b.elementwise(f"{name}.relu", "relu", b.linear(name, x, width))
    return b.build(b.linear("fc8", x, 1000))


def vgg16(batch: int) -> Network:
    """VGG-16, configuration D of Simonyan and Zisserman, ICLR 2015."""
    b = Builder("vgg16", "Simonyan and Zisserman, ICLR 2015, configuration D")
    x = _image(b, batch)
    for stage, (k, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for i in range(1, depth + 1):
            x = b.conv(f"conv{stage}_{i}", x, k, 3, bias=True, norm="", act="relu")
        x = b.pool(f"pool{stage}", x, 2, 2)
    for name, width in (("fc6", 4096), ("fc7", 4096)):
        x = b.elementwise(f"{name}.relu", "relu", b.linear(name, x, width))
    return b.build(b.linear("fc8", x, 1000))


def resnet(batch: int, depth: int) -> Network:
    """ResNet-18 or -50 of He et al., CVPR 2016; of a bottleneck the 3x3 layer has the stride."""
    b = Builder(f"resnet{depth}", "He et al., CVPR 2016, table 1; stride as in torchvision")
    bottleneck = depth == 50
    x = b.conv("conv1", _image(b, batch), 64, 7, stride=2, act="relu")
    x = b.pool("pool1", x, 3, 2, 1)
    blocks = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
    for stage, (width, number) in enumerate(zip((64, 128, 256, 512), blocks, strict=True), 1):
        for i in range(number):
            stride = 2 if stage > 1 and i == 0 else 1
            with b.block(f"layer{stage}.{i}"):
                x = _residual(b, x, width, stride, bottleneck)
    return b.build(b.linear("fc", b.global_pool("pool5", x), 1000))


def _residual(b: Builder, x: str, width: int, stride: int, bottleneck: bool) -> str:
    out = 4 * width if bottleneck else width
    if bottleneck:
        y = b.conv("conv1", x, width, 1, act="relu")
        y = b.conv("conv2", y, width, 3, stride=stride, act="relu")
        y = b.conv("conv3", y, out, 1)
    else:
        y = b.conv("conv1", x, width, 3, stride=stride, act="relu")
        y = b.conv("conv2", y, out, 3)
    if stride > 1 or b.shape(x)[1] != out:
        x = b.conv("downsample", x, out, 1, stride=stride)
    return b.elementwise("relu", "relu", b.elementwise("add", "add", x, y))


def mobilenet_v1(batch: int) -> Network:
    """MobileNet 1.0 at 224 of Howard et al., arXiv 1704.04861, table 1."""
    b = Builder("mobilenet-v1", "Howard et al., arXiv 1704.04861, table 1")
    x = b.conv("conv1", _image(b, batch), 32, 3, stride=2, act="relu")
    layers = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5)
    for i, (k, stride) in enumerate((*layers, (1024, 2), (1024, 1)), 2):
        c = b.shape(x)[1]
        x = b.conv(f"conv{i}_dw", x, c, 3, stride=stride, groups=c, act="relu")
        x = b.conv(f"conv{i}_pw", x, k, 1, act="relu")
    return b.build(b.linear("fc", b.global_pool("pool", x), 1000))


def mobilenet_v2(batch: int) -> Network:
    """MobileNetV2 1.0 at 224 of Sandler et al., CVPR 2018, table 2."""
    b = Builder("mobilenet-v2", "Sandler et al., CVPR 2018, table 2")
    x = b.conv("conv1", _image(b, batch), 32, 3, stride=2, act="relu6")
    settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for stage, (expansion, k, number, stride) in enumerate(settings, 1):
        for i in range(number):
            with b.block(f"block{stage}.{i}"):
                x = _inverted(b, x, k, 3, stride if i == 0 else 1, expansion, "relu6")
    x = b.conv("conv_last", x, 1280, 1, act="relu6")
    return b.build(b.linear("fc", b.global_pool("pool", x), 1000))


def _inverted(
    b: Builder, x: str, k: int, size: int, stride: int, expansion: int, act: str, squeeze: int = 0
) -> str:
    """Expand, filter every channel, squeeze and excite if asked for, project, add."""
    c = b.shape(x)[1]
    wide = c * expansion
    y = b.conv("expand", x, wide, 1, act=act) if expansion > 1 else x
    y = b.conv("depthwise", y, wide, size, stride=stride, groups=wide, act=act)
    if squeeze:
        means = b.global_pool("squeeze.pool", y)
        few = b.conv("squeeze.reduce", means, squeeze, 1, bias=True, norm="", act="silu")
        scales = b.conv("squeeze.expand", few, wide, 1, bias=True, norm="", act="sigmoid")
        y = b.scale("squeeze.scale", y, scales)
    y = b.conv("project", y, k, 1)
    return b.elementwise("add", "add", x, y) if stride == 1 and c == k else y


def efficientnet_b0(batch: int) -> Network:
    """EfficientNet-B0 of Tan and Le, ICML 2019, table 1; squeezed to a quarter of block inputs."""
    b = Builder("efficientnet-b0", "Tan and Le, ICML 2019, table 1")
    x = b.conv("conv1", _image(b, batch), 32, 3, stride=2, act="silu")
    settings = (
        (1, 3, 16, 1, 1),
        (6, 3, 24, 2, 2),
        (6, 5, 40, 2, 2),
        (6, 3, 80, 3, 2),
        (6, 5, 112, 3, 1),
        (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    )
    for stage, (expansion, size, k, number, stride) in enumerate(settings, 1):
        for i in range(number):
            squeeze = b.shape(x)[1] // 4
            with b.block(f"block{stage}.{i}"):
                first = stride if i == 0 else 1
                x = _inverted(b, x, k, size, first, expansion, "silu", squeeze)
    x = b.conv("conv_last", x, 1280, 1, act="silu")
    return b.build(b.linear("fc", b.global_pool("pool", x), 1000))


def unet(batch: int) -> Network:
    """U-Net of Ronneberger et al., MICCAI 2015, figure 1: 572 x 572 in, 388 x 388 out, unpadded."""
    b = Builder("unet", "Ronneberger et al., MICCAI 2015, figure 1")
    x = _image(b, batch, 572, 1)
    skips = []
    for level in range(5):
        with b.block(f"down{level}"):
            x = _double(b, x, 64 << level)
            if level < 4:
                skips.append(x)
                x = b.pool("pool", x, 2, 2)
    for level in range(3, -1, -1):
        with b.block(f"up{level}"):
            x = _upward(b, x, skips[level], 64 << level)
    return b.build(b.conv("out", x, 2, 1, bias=True, norm=""))


def _double(b: Builder, x: str | tuple[str, ...], k: int) -> str:
    for i in (1, 2):
        x = b.conv(f"conv{i}", x, k, 3, padding=0, bias=True, norm="", act="relu")
    assert isinstance(x, str)
    return x


def _upward(b: Builder, x: str, skip: str, k: int) -> str:
    n, c, h, w = b.shape(x)
    up = ConvTranspose2d(name="up", n=n, c=c, h=h, w=w, k=k, r=2, s=2, stride=(2, 2), bias=True)
    x = b.add(up, x)
    cropped = b.layout("crop", skip, *b.shape(x))
    return _double(b, (cropped, x), k)
