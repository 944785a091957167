"""A household: registered or monitored, with dated entry and exit. What could harm it is sealed."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, Versioned


class Household(Public, Versioned, Model):
    """One household. ``organisation_id`` is the operator that keeps the register."""

    __tablename__ = "household"
    __table_args__ = (
        CheckConstraint("registry_status IN ('NOT_LIFTED','LIFTED','NOT_REGISTERED')", name="registry_status"),
        CheckConstraint("monitoring_kind IN ('NONE','UNSTABLE','MARGINAL','SUDDEN_HARDSHIP')", name="monitoring_kind"),
        CheckConstraint("monitoring_kind <> 'UNSTABLE' OR registry_status = 'LIFTED'", name="unstable_only_if_lifted"),
        CheckConstraint("monitoring_kind <> 'MARGINAL' OR registry_status = 'NOT_REGISTERED'", name="marginal_only_if_not_registered"),
        CheckConstraint("people > 0", name="people"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    code: Mapped[str] = mapped_column(String(30), unique=True)
    village_id: Mapped[int] = mapped_column(ForeignKey("region.id"), index=True)
    registry_status: Mapped[str] = mapped_column(String(16), index=True)
    monitoring_kind: Mapped[str] = mapped_column(String(16), default="NONE")
    people: Mapped[int]
    name_sealed: Mapped[str] = sealed_column()
    name = Sealed()
    id_number_sealed: Mapped[str] = sealed_column()
    id_number = Sealed()
    bank_name: Mapped[str] = mapped_column(String(80))
    bank_account_sealed: Mapped[str] = sealed_column()
    bank_account = Sealed()
    alipay_account_sealed: Mapped[str] = sealed_column(default="", server_default="")  # a second way to be paid, if there is one
    alipay_account = Sealed()
    alipay_name_sealed: Mapped[str] = sealed_column(default="", server_default="")  # whose account it is, as Alipay knows them
    alipay_name = Sealed()
    # Who is paid in the household's place (an heir, by a document), if somebody is; with the account above.
    payee_name_sealed: Mapped[str] = sealed_column(default="", server_default="")
    payee_name = Sealed()
    payee_id_number_sealed: Mapped[str] = sealed_column(default="", server_default="")
    payee_id_number = Sealed()
    # Health and ability to work: "ill_or_disabled=0|1;unable_to_work=N", sealed.
    hardship_sealed: Mapped[str] = sealed_column()
    hardship = Sealed()
    entered_on: Mapped[date]
    exited_on: Mapped[date | None]
    consent_at: Mapped[datetime | None]
    # The address of the household's own statement (明白卡), printed as a QR code on its slip.
    statement_token: Mapped[str] = mapped_column(String(32), unique=True)

    def set_hardship(self, *, ill_or_disabled: bool, unable_to_work: int) -> None:
        self.hardship = f"ill_or_disabled={int(ill_or_disabled)};unable_to_work={unable_to_work}"

    @property
    def ill_or_disabled(self) -> bool:
        return "ill_or_disabled=1" in self.hardship

    @property
    def unable_to_work(self) -> int:
        """How many of its people cannot work."""
        return int(self.hardship.rsplit("=", 1)[1])
