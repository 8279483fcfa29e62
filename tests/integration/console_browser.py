"""A browser without a browser: cookies, CSRF token, people and alerts for tests of the console."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from core.acts import people
from core.acts.audit import system
from core.base.clock import from_ms, utc_now
from core.base.ids import AlertId, new_uuid
from core.base.terms import Role
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting
from core.stores import casework as casework_store
from core.stores.accepting import Arrival
from core.tables.people import User
from tests.integration.conftest import Api

PASSWORD = "a long enough password"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


class PlainHasher:
    """The web process verifies with argon2id; hashing with the cheapest parameters keeps the tests quick."""

    def __init__(self) -> None:
        self._hash = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))

    def hash(self, password: str) -> str:
        return self._hash.hash(password)

    def verify(self, password: str, hashed: str) -> bool:
        return self._hash.verify(password, hashed)


async def a_user(resources: Resources, role: Role) -> User:
    async with resources.postgres.unit_of_work() as work:
        return await people.add_user(
            work,
            PlainHasher(),
            email=f"{role}-{new_uuid().hex[-8:]}@localhost",
            name=f"A {role}",
            role=role,
            password=PASSWORD,
            by=system("test"),
        )


async def alerts_like(resources: Resources, changes: Sequence[Mapping[str, Any]]) -> list[AlertId]:
    """Each on a payment of its own; all changes name the same columns."""
    now, payments, alerts = utc_now(), [], []
    for change in changes:
        uid = new_uuid()
        payment = Payment(
            uid=uid, source_id="shop", transaction_id=str(uid), occurred_at_ms=1_700_000_000_000,
            accepted_at_ms=1_700_000_000_100, amount_minor=12_990, currency="EUR", customer_id="cus_1", merchant_id="mer_1",
            device_id="dev_1",
        )  # fmt: skip
        payments.append(payment)
        alerts.append({
            "id": new_uuid(), "transaction_uid": uid, "status": "open", "outcome": "review", "score": 0.4,
            "expected_loss_minor": 5_196, "amount_minor": 12_990, "currency": "EUR", "transaction_id": str(uid),
            "customer_id": "cus_1", "merchant_id": "mer_1", "device_id": "dev_1", "top_reason": "seven payments on this device",
            "reason_code": "device_activity", "occurred_at": from_ms(payment.occurred_at_ms), "opened_at": now,
            "due_at": now + timedelta(hours=2), "version": 1, **change,
        })  # fmt: skip
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "shop", "Shop", system("test"))
        await accepting.insert_transactions(work, [Arrival(payment, b"x") for payment in payments])
        await casework_store.insert_alerts(work, alerts)
    return [AlertId(UUID(str(alert["id"]))) for alert in alerts]


async def an_alert(resources: Resources, **changes: Any) -> AlertId:
    [alert_id] = await alerts_like(resources, [changes])
    return alert_id


@dataclass
class Browser:
    """A client with cookies, as one tab has them."""

    client: httpx2.AsyncClient
    csrf: str = ""

    async def sign_in(self, user: User, password: str = PASSWORD, target: str = "") -> httpx2.Response:
        form = {"email": user.email, "password": password, "next": target}
        answer = await self.client.post("/sign-in", data=form)
        if answer.status_code == 303:
            page = (await self.client.get("/queue")).text
            found = re.search(r'"x-csrftoken":"([^"]+)"', page)
            assert found
            self.csrf = found[1]
        return answer

    async def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> httpx2.Response:
        return await self.client.post(path, data={"csrf_token": self.csrf, **form}, headers=headers or {})

    @property
    def token(self) -> str:
        return self.client.cookies.get("ronda_session") or ""


@asynccontextmanager
async def browser(api: Api) -> AsyncIterator[Browser]:
    async with httpx2.AsyncClient(base_url=api.client.base_url, timeout=20, follow_redirects=False) as client:
        yield Browser(client)


async def next_message(lines: AsyncIterator[str], wanted: str) -> str:
    """The next whole message that contains `wanted`."""
    message: list[str] = []
    async for line in lines:
        message.append(line)
        if not line:
            if wanted in "\n".join(message):
                return "\n".join(message)
            message = []
    raise AssertionError("the stream ended")
