"""A shopper: one browser's session over HTTP on the loopback, with cookies, following what pages say; every answer is looked at."""

import re
from http.client import HTTPConnection, HTTPException
from urllib.parse import parse_qs, urlencode, urlsplit

from bench.page_load import WrongAnswer


class Shopper:
    """Keeps its connection and its cookies (also those for https only: the loopback stands behind the proxy)."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.base = base
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._cookies: dict[str, str] = {}
        self.requests = 0

    def get(self, path: str, expect: str) -> str:
        """The page, which must hold ``expect``. WrongAnswer otherwise."""
        status, _location, body = self._ask("GET", path)
        return self._looked_at(path, status, body, expect)

    def post(self, path: str, **form: str) -> str:
        """Send a form that must be answered by going elsewhere; where to."""
        status, location, body = self._ask("POST", path, urlencode(form))
        if status not in (302, 303) or not location:
            raise WrongAnswer(f"POST {path}: {status} {_plain(body)}")
        return location

    def tell(self, path: str, expect: str, **form: str) -> None:
        """Send a form that must be answered with ``expect``."""
        status, _location, body = self._ask("POST", path, urlencode(form))
        self._looked_at(path, status, body, expect)

    def sign_in(self, login: str, password: str) -> None:
        page = self.get("/sign-in", "password")
        self.post("/sign-in", csrf_token=value_of(page, "csrf_token"), login=login, password=password, next="/goods")

    def _looked_at(self, path: str, status: int, body: str, expect: str) -> str:
        if status != 200 or expect not in body:
            raise WrongAnswer(f"{path}: {status}, without {expect!r}: {_plain(body)}")
        return body

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())} if self._cookies else {}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.base}
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, HTTPException):
            self._connection.close()
            raise
        self.requests += 1
        for name, said in response.getheaders():
            if name.lower() == "set-cookie":
                key, _, value = said.partition(";")[0].partition("=")
                self._cookies[key.strip()] = value
        return response.status, response.getheader("Location") or "", text


def value_of(page: str, name: str) -> str:
    """The value of a form's field. WrongAnswer if there is none."""
    for tag in re.findall(r"<input\b[^>]*>", page):
        if re.search(rf'\bname="{re.escape(name)}"', tag) and (value := re.search(r'\bvalue="([^"]*)"', tag)):
            return value[1]
    raise WrongAnswer(f"no field {name} on the page: {_plain(page)}")


def asked_of_alipay(cashier: str) -> dict[str, str]:
    """What the shop asks Alipay to be paid, from the address of the cashier."""
    import json

    query = {name: values[0] for name, values in parse_qs(urlsplit(cashier).query).items()}
    return {"app_id": query["app_id"], **{name: str(value) for name, value in json.loads(query["biz_content"]).items()}}


def _plain(body: str) -> str:
    return " ".join(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", body, flags=re.DOTALL).split())[:400]
