"""``/cards?n=24&fill=0``: n cards and ``fill`` bytes of plain text, so that a page can be made as long as one of ours."""

from dataclasses import dataclass

from flask import Flask, render_template, request

app = Flask(__name__)


@dataclass(frozen=True)
class Ware:
    id: int

    @property
    def title(self) -> str:
        return f"Product <{self.id}> & friends"

    slug = property(lambda self: f"product-{self.id}")
    price = property(lambda self: 1999 + self.id * 7)
    stock = property(lambda self: self.id % 5)
    rating = property(lambda self: 3 + self.id % 3)
    image = property(lambda self: f"/static/img/{self.id}.webp")
    seller = property(lambda self: f"Seller {self.id % 4}")


WARES = [Ware(number) for number in range(200)]
CATEGORIES = [(f"Category {number}", f"cat-{number}") for number in range(12)]
FILL = "x" * 200_000


@app.template_filter("money")
def money(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"


@app.get("/hello")
def hello() -> str:
    return "Hello, World!"


@app.get("/cards")
def cards() -> str:
    count, fill = int(request.args.get("n", 24)), int(request.args.get("fill", 0))
    return render_template("list.html", products=WARES[:count], categories=CATEGORIES, page=1, fill=FILL[:fill])
