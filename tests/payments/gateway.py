"""A channel that answers what the test wrote down, and remembers what it was asked."""

from flask import Flask

from marketplace.payments.channel import EXTENSION, Answer, Attempt


class WrittenChannel:
    """``answers[name]`` are given in order; the last one repeats. ``asked`` holds (name, numbers…)."""

    def __init__(self, app: Flask, **answers: list[Answer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []
        app.extensions[EXTENSION] = lambda organisation_id: self

    def query(self, out_trade_no: str) -> Answer:
        return self._answer("query", out_trade_no)

    def close(self, out_trade_no: str) -> Answer:
        return self._answer("close", out_trade_no)

    def refund(self, out_trade_no: str, out_request_no: str, fen: int, reason: str) -> Answer:
        return self._answer("refund", out_trade_no, out_request_no, str(fen))

    def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
        return self._answer("refund_query", out_trade_no, out_request_no, str(fen))

    def qr_code(self, attempt: Attempt, expires_at: object) -> Answer:
        return self._answer("qr_code", attempt.out_trade_no)

    def _answer(self, name: str, *numbers: str) -> Answer:
        self.asked.append((name, *numbers))
        waiting = self.answers[name]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]
