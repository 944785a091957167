"""A refusal in Alipay's words: code, msg, sub_code and sub_msg, as they come in a response's node."""

MESSAGES = {
    "10000": "Success",
    "10003": "order success pay inprocess",
    "20000": "Service Currently Unavailable",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40004": "Business Failed",
    "40006": "Insufficient Permissions",
}


class Refusal(Exception):
    """The gateway says no. ``code`` 40004 is the business's no; the others are mistakes of form or of permission."""

    def __init__(self, code: str, sub_code: str, sub_msg: str) -> None:
        super().__init__(code, sub_code, sub_msg)
        self.code = code
        self.sub_code = sub_code
        self.sub_msg = sub_msg

    def node(self) -> dict[str, str]:
        """The node of the response."""
        return {
            "code": self.code,
            "msg": MESSAGES[self.code],
            "sub_code": self.sub_code,
            "sub_msg": self.sub_msg,
        }


def business(sub_code: str, sub_msg: str) -> Refusal:
    """A 40004."""
    return Refusal("40004", sub_code, sub_msg)


def invalid(sub_msg: str) -> Refusal:
    """A parameter of the business content that is missing or wrong."""
    return Refusal("40004", "ACQ.INVALID_PARAMETER", f"参数无效：{sub_msg}")
