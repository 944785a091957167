"""An Alipay gateway for demonstrations and tests: the real protocol, its own keys, its own state, no real money.

It stands on the foundation alone and never runs in production.
"""

from marketplace.emulator.emulator import Emulator
from marketplace.emulator.keys import (
    APP_ID_PREFIX,
    demo_app_keys,
    fingerprint,
    is_emulator_key,
)
from marketplace.foundation.config import EMULATOR_KEY_MARK

__all__ = [
    "APP_ID_PREFIX",
    "EMULATOR_KEY_MARK",
    "Emulator",
    "demo_app_keys",
    "fingerprint",
    "is_emulator_key",
]
