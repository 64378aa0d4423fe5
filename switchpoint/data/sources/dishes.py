"""Dishes drawn by a small seeded generator: photos that need no download and no licence.

Dishes are drawn in a square of 2 × 2 about the origin; only the last function knows pixels.
"""

import io
import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

VERSION = "1"  # part of the digest: change it with whatever changes a pixel
PHOTOS: dict[Literal["train", "test"], int] = {"train": 50, "test": 20}  # a class
SIZE = 128
_CANVAS = 2 * SIZE  # drawn twice as large: the reduction smooths the edges

Colour = tuple[int, int, int]


class _Brush:
    """Draws in units of the dish's radius, with colours and shapes that vary."""

    def __init__(self, image: "Image", rng: random.Random) -> None:
        from PIL import ImageDraw as drawing

        self.draw: ImageDraw = drawing.Draw(image)
        self.rng = rng

    def shade(self, colour: Colour, spread: int = 28) -> Colour:
        light = self.rng.randint(-spread, spread)
        red, green, blue = (min(255, max(0, c + light + self.rng.randint(-spread // 2, spread // 2))) for c in colour)
        return red, green, blue

    def blob(self, x: float, y: float, radius: float, colour: Colour, wobble: float = 0.1, flat: float = 1) -> None:
        """A roundish shape; `flat` < 1 squeezes its height."""
        phase, lobes, corners = self.rng.random() * math.tau, self.rng.randint(2, 5), 28 if radius > 0.2 else 9
        points = []
        for step in range(corners):
            angle = step / corners * math.tau
            reach = radius * (1 + wobble * (math.sin(lobes * angle + phase) + self.rng.random() - 0.5))
            points.append(_pixel(x + reach * math.cos(angle), y + flat * reach * math.sin(angle)))
        self.draw.polygon(points, self.shade(colour, 10))

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, corner: float = 0.1) -> None:
        left, top, right, bottom = *_pixel(x - width, y - height), *_pixel(x + width, y + height)
        self.draw.rounded_rectangle((left, top, right, bottom), corner * _CANVAS / 4, self.shade(colour, 10))

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        self.draw.line([_pixel(*point) for point in points], self.shade(colour, 14), round(width * _CANVAS / 4))

    def strand(self, radius: float, width: float, colour: Colour) -> None:
        """A noodle: an arc somewhere within `radius`."""
        x, y = self.spot(radius * 0.6)
        reach, start, bend = radius * self.rng.uniform(0.2, 0.5), self.rng.random() * math.tau, self.rng.uniform(1, 4)
        angles = [start + bend * step / 6 for step in range(7)]
        self.line([(x + reach * math.cos(a), y + reach * math.sin(a)) for a in angles], width, colour)

    def spot(self, radius: float) -> tuple[float, float]:
        angle, reach = self.rng.random() * math.tau, radius * math.sqrt(self.rng.random())
        return reach * math.cos(angle), reach * math.sin(angle)

    def scatter(self, count: int, radius: float, size: float, *colours: Colour, wobble: float = 0.2) -> None:
        for _ in range(count):
            x, y = self.spot(radius)
            self.blob(
                x, y, size * self.rng.uniform(0.6, 1.4), self.rng.choice(colours), wobble, self.rng.uniform(0.6, 1)
            )

    def ring(self, x: float, y: float, radius: float, hole: float, colour: Colour, inside: Colour) -> None:
        self.blob(x, y, radius, colour, 0.04)
        self.blob(x, y, hole, inside, 0.04)


def _pixel(x: float, y: float) -> tuple[float, float]:
    return (x + 2) * _CANVAS / 4, (y + 2) * _CANVAS / 4


BREAD, CRUST, EGG, YOLK, CREAM = (222, 170, 100), (176, 112, 52), (246, 244, 236), (245, 180, 40), (250, 240, 215)
CHEESE, TOMATO, LEAF, MEAT = (245, 205, 95), (205, 55, 40), (90, 150, 60), (120, 66, 44)
CHOCOLATE, PINK = (84, 50, 32), (238, 150, 175)


def _burger(b: _Brush) -> None:
    b.blob(0, 0.55, 0.85, BREAD, 0.03, 0.35)
    for y, colour in zip((0.35, 0.2, 0.08, -0.05), b.rng.sample((MEAT, LEAF, CHEESE, TOMATO, MEAT), 4), strict=True):
        b.box(0, y, b.rng.uniform(0.8, 0.98), 0.09, colour)
    b.blob(0, -0.25, 0.88, CRUST, 0.03, b.rng.uniform(0.4, 0.6))
    for _ in range(b.rng.choice((0, 14, 25))):
        x, y = b.spot(0.6)
        b.blob(x, -0.35 + y * 0.4, 0.04, CREAM)


def _cupcake(b: _Brush) -> None:
    colour = b.rng.choice((PINK, CREAM, CHOCOLATE, (160, 200, 230)))
    b.draw.polygon([_pixel(*p) for p in ((-0.7, 0), (0.7, 0), (0.5, 0.95), (-0.5, 0.95))], b.shade(CRUST, 50))
    for x in (-0.3, 0, 0.3):
        b.line([(x * 1.3, 0), (x, 0.95)], 0.04, CREAM)
    for y, radius in ((-0.05, 0.8), (-0.4, 0.6), (-0.7, 0.35)):
        b.blob(0, y, radius, colour, 0.08, 0.5)
    b.blob(0, -0.95, 0.14, b.rng.choice((TOMATO, CHOCOLATE, LEAF)))


def _donut(b: _Brush) -> None:
    b.ring(0, 0, 0.95, 0, BREAD, BREAD)
    b.blob(0, 0, 0.82, b.rng.choice((PINK, CHOCOLATE, CREAM, BREAD)), 0.07)
    for _ in range(b.rng.choice((0, 30, 60))):
        x, y = b.spot(0.75)
        b.line([(x, y), (x + b.rng.uniform(-0.1, 0.1), y + 0.06)], 0.05, b.rng.choice((TOMATO, CHEESE, LEAF, EGG)))
    b.blob(0, 0, b.rng.uniform(0.2, 0.32), (200, 190, 180), 0.05)


def _fried_egg(b: _Brush) -> None:
    for _ in range(b.rng.choice((1, 1, 2))):
        x, y = b.spot(0.35)
        b.blob(x, y, b.rng.uniform(0.6, 0.85), EGG, 0.16)
        b.blob(x + b.rng.uniform(-0.2, 0.2), y, b.rng.uniform(0.22, 0.32), YOLK, 0.03)
    b.scatter(b.rng.choice((0, 15)), 0.7, 0.03, CHOCOLATE, LEAF)


def _ice_cream(b: _Brush) -> None:
    b.draw.polygon([_pixel(*p) for p in ((-0.5, 0), (0.5, 0), (0, 1.05))], b.shade(BREAD))
    for x in (-0.25, 0, 0.25):
        b.line([(x, 0), (x / 2 + 0.1, 0.6)], 0.03, CRUST)
    for x, y in b.rng.sample(((-0.3, -0.15), (0.3, -0.15), (0, -0.6), (0, -0.15)), b.rng.randint(2, 4)):
        b.blob(x, y, 0.42, b.rng.choice((PINK, CREAM, CHOCOLATE, (170, 210, 150))), 0.05)


def _pancakes(b: _Brush) -> None:
    x = y = 0.0
    for _ in range(b.rng.randint(2, 5)):
        b.blob(x, y, 0.85, CRUST, 0.04)
        b.blob(x, y, 0.78, BREAD, 0.04)
        x, y = x + b.rng.uniform(-0.06, 0.06), y - 0.1
    b.blob(x, y, b.rng.uniform(0.3, 0.6), (150, 80, 25), 0.3)
    b.box(x, y, 0.15, 0.13, CHEESE)
    b.scatter(b.rng.choice((0, 5, 9)), 0.7, 0.1, TOMATO, (70, 70, 130))


def _pizza(b: _Brush) -> None:
    b.ring(0, 0, 1, 0.86, CRUST, TOMATO)
    b.blob(0, 0, 0.82, CHEESE, 0.06)
    b.scatter(b.rng.randint(4, 11), 0.7, 0.15, b.rng.choice((TOMATO, MEAT)), wobble=0.05)
    b.scatter(b.rng.randint(0, 14), 0.75, 0.08, LEAF, CHOCOLATE, EGG)
    for angle in range(b.rng.choice((0, 3))):
        x, y = math.cos(angle * math.pi / 3), math.sin(angle * math.pi / 3)
        b.line([(-x, -y), (x, y)], 0.03, CRUST)


def _ramen(b: _Brush) -> None:
    b.ring(0, 0, 1, 0.88, b.rng.choice(((40, 40, 45), TOMATO, EGG)), (190, 130, 70))
    for _ in range(40):
        b.strand(0.7, 0.05, CHEESE)
    for _ in range(b.rng.randint(0, 2)):
        x, y = b.spot(0.5)
        b.ring(x, y, 0.28, 0.15, EGG, YOLK)
    b.scatter(b.rng.randint(1, 3), 0.5, 0.25, MEAT, PINK)
    b.scatter(b.rng.randint(5, 20), 0.7, 0.05, LEAF)


def _salad(b: _Brush) -> None:
    b.ring(0, 0, 1, 0.9, b.rng.choice((EGG, (140, 100, 60), (90, 110, 140))), LEAF)
    b.scatter(45, 0.75, 0.2, LEAF, (60, 120, 50), (150, 190, 90), (110, 60, 90), wobble=0.35)
    b.scatter(b.rng.randint(3, 9), 0.7, 0.13, TOMATO, EGG, CHEESE)
    b.scatter(b.rng.randint(0, 8), 0.7, 0.1, BREAD, MEAT)


def _spaghetti(b: _Brush) -> None:
    for _ in range(70):
        b.strand(0.95, 0.05, (235, 200, 120))
    b.scatter(9, 0.4, 0.2, b.rng.choice((TOMATO, MEAT, LEAF, CREAM)), wobble=0.3)
    b.scatter(b.rng.randint(0, 5), 0.6, 0.14, MEAT, TOMATO)
    b.scatter(b.rng.randint(0, 12), 0.6, 0.04, LEAF, CREAM)


def _sushi(b: _Brush) -> None:
    for column in range(b.rng.randint(2, 3)):
        for row in range(b.rng.randint(1, 3)):
            x, y = column * 0.66 - 0.66 + b.rng.uniform(-0.08, 0.08), row * 0.66 - 0.5
            if b.rng.random() < 0.6:
                b.ring(x, y, 0.3, 0.25, (30, 45, 35), EGG)
                b.blob(x, y, 0.12, b.rng.choice(((245, 130, 90), LEAF, YOLK)))
            else:
                b.box(x, y, 0.24, 0.3, EGG)
                b.box(x, y, 0.26, 0.22, b.rng.choice(((245, 130, 90), TOMATO, YOLK)))


def _waffle(b: _Brush) -> None:
    if b.rng.random() < 0.5:
        b.blob(0, 0, 0.95, CRUST, 0.03)
    else:
        b.box(0, 0, 0.85, 0.8, CRUST)
    for row in range(-2, 3):
        for column in range(-2, 3):
            b.box(column * 0.28, row * 0.28, 0.1, 0.1, BREAD, 0.03)
    b.scatter(b.rng.choice((0, 4, 8)), 0.6, 0.14, TOMATO, CREAM, (70, 70, 130))


DISHES: dict[str, Callable[[_Brush], None]] = {
    "burger": _burger,
    "cupcake": _cupcake,
    "donut": _donut,
    "fried_egg": _fried_egg,
    "ice_cream": _ice_cream,
    "pancakes": _pancakes,
    "pizza": _pizza,
    "ramen": _ramen,
    "salad": _salad,
    "spaghetti": _spaghetti,
    "sushi": _sushi,
    "waffle": _waffle,
}


def photograph(name: str) -> bytes:
    """Draw the dish of this name, put it on a table among other things, and take a bad picture of it."""
    from PIL import Image, ImageEnhance, ImageFilter

    rng = random.Random(f"{VERSION}/{name}")
    picture = Image.new("RGB", (_CANVAS, _CANVAS), (rng.randint(20, 235), rng.randint(20, 235), rng.randint(20, 235)))
    table = _Brush(picture, rng)
    ground = table.shade((rng.randint(30, 220), rng.randint(30, 200), rng.randint(20, 190)))
    for step in range(rng.choice((0, 6, 10, 20))):  # boards, stripes
        table.line([(step / 3 - 2.2, -2), (step / 3 - 2.2 + rng.uniform(-0.1, 0.1), 2)], rng.uniform(0.1, 0.3), ground)
    x, y = rng.uniform(-0.55, 0.55), rng.uniform(-0.55, 0.55)
    scale, squeeze = rng.uniform(0.85, 1.75), rng.uniform(0.7, 1)
    for _ in range(rng.randint(0, 6)):  # what else stands on the table
        where = (rng.uniform(-2, 2), rng.uniform(-2, 2))
        table.blob(*where, rng.uniform(0.1, 0.7), rng.choice((LEAF, TOMATO, EGG, CHOCOLATE, CREAM, YOLK)), 0.1)
    if rng.random() < 0.7:  # a plate
        plate = table.shade(rng.choice((EGG, (60, 60, 70), (170, 190, 210), (190, 150, 110))))
        table.blob(x, y, scale * 1.25, plate, 0.01, squeeze)
        table.blob(x, y, scale * 1.02, table.shade(plate, 16), 0.01, squeeze)
    dish = Image.new("RGBA", picture.size)
    DISHES[name.split("/")[0]](_Brush(dish, rng))
    tilt = rng.uniform(-math.pi, math.pi) if rng.random() < 0.6 else rng.uniform(-0.4, 0.4)
    # From a pixel of the picture to one of the dish: move the centre, undo the scale, turn.
    (left, top), (cos, sin) = _pixel(x, y), (math.cos(tilt) / scale, math.sin(tilt) / scale)
    across, down = (cos, sin / squeeze), (-sin, cos / squeeze)
    matrix = tuple(value for a, b in (across, down) for value in (a, b, _CANVAS / 2 - a * left - b * top))
    dish = dish.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    picture.paste(dish, (0, 0), dish)
    for _ in range(rng.randint(0, 3)):  # what is in the way: cutlery, a hand, a glass
        ends = [(rng.uniform(-2, 2), rng.uniform(-2, 2)), (rng.uniform(-2, 2), rng.uniform(-2, 2))]
        if rng.random() < 0.6:
            table.line(ends, rng.uniform(0.06, 0.25), rng.choice(((190, 190, 195), CRUST, (60, 60, 60), EGG)))
        else:
            table.blob(*ends[0], rng.uniform(0.3, 0.8), rng.choice(((225, 180, 150), EGG, TOMATO, LEAF)), 0.15)
    picture = picture.reduce(2).filter(ImageFilter.GaussianBlur(rng.choice((0, 0.5, 1, 1.8))))
    picture = ImageEnhance.Color(picture).enhance(rng.uniform(0.3, 1.4))
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.6, 1.3))
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.6, 1.35))
    cast = Image.new("RGB", picture.size, (rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)))
    picture = Image.blend(picture, cast, rng.uniform(0, 0.25))
    noise = Image.frombytes("RGB", picture.size, rng.randbytes(3 * SIZE**2))
    out = io.BytesIO()
    Image.blend(picture, noise, rng.uniform(0, 0.18)).save(out, "JPEG", quality=85)
    return out.getvalue()
