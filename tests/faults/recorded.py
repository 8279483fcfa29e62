"""Messages as earlier versions of Ronda put them on the bus: their own bytes, kept when their classes were changed.

Whoever changes `core.contracts.messages` again adds the bytes of the version before.
"""

from base64 import b64decode
from dataclasses import dataclass


@dataclass(frozen=True)
class Recorded:
    """lacks: fields that this version did not know yet."""

    name: str
    score_batch: bytes
    labels_recorded: bytes
    lacks: tuple[str, ...]


RECORDED = (
    Recorded(
        "the first",
        b64decode(
            "hKR0eXBlq3Njb3JlX2JhdGNooXYBpXNoYXJkAKhwYXltZW50c5PeAAijdWlk2SQwMTlhYmMxMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDGpc291cmNlX2lkpmZh"
            "dWx0c650cmFuc2FjdGlvbl9pZKNhLTGub2NjdXJyZWRfYXRfbXPPAAABmraY0mCuYWNjZXB0ZWRfYXRfbXPPAAABmraY1FSsYW1vdW50X21pbm9yzQTiqGN1cnJlbmN5"
            "o0VVUqtjdXN0b21lcl9pZKphLWN1c3RvbWVy3gAUo3VpZNkkMDE5YWJjMTAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAyqXNvdXJjZV9pZKZmYXVsdHOudHJhbnNh"
            "Y3Rpb25faWSjYS0yrm9jY3VycmVkX2F0X21zzwAAAZq2mbzArmFjY2VwdGVkX2F0X21zzwAAAZq2mb60rGFtb3VudF9taW5vcs0JxKhjdXJyZW5jeaNFVVKrY3VzdG9t"
            "ZXJfaWSqYS1jdXN0b21lcqdjYXJkX2lkomsxq21lcmNoYW50X2lkom0xsW1lcmNoYW50X2NhdGVnb3J5pDU0MTGwbWVyY2hhbnRfY291bnRyeaJQVKdjaGFubmVsqWVj"
            "b21tZXJjZalkZXZpY2VfaWSiZDGiaXCoMTAuMC4wLjeqZW1haWxfaGFzaKJlMahsYXRpdHVkZctAQ1wo9cKPXKlsb25naXR1ZGXLwCJHrhR64UivYmlsbGluZ19jb3Vu"
            "dHJ5olBUqmF0dHJpYnV0ZXODpmJhc2tldAOkZ2lmdMOkbm90ZaLDqd4ACqN1aWTZJDAxOWFiYzEwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwM6lzb3VyY2VfaWSm"
            "ZmF1bHRzrnRyYW5zYWN0aW9uX2lko2EtM65vY2N1cnJlZF9hdF9tc88AAAGatpqnIK5hY2NlcHRlZF9hdF9tc88AAAGatpqpFKxhbW91bnRfbWlub3LNDqaoY3VycmVu"
            "Y3mjRVVSq2N1c3RvbWVyX2lkqmEtY3VzdG9tZXKnY2FyZF9pZKJrMattZXJjaGFudF9pZKJtMQ=="
        ),
        b64decode(
            "g6R0eXBlr2xhYmVsc19yZWNvcmRlZKF2AaZsYWJlbHORiq90cmFuc2FjdGlvbl91aWTZJDAxOWFiYzEwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMqVsYWJlbKVm"
            "cmF1ZKxsYWJlbF9zb3VyY2WqY2hhcmdlYmFja65vY2N1cnJlZF9hdF9tc88AAAGatpm8wK5yZXBvcnRlZF9hdF9tc88AAAGatpqrCKttZXJjaGFudF9pZKJtMatjdXN0"
            "b21lcl9pZKphLWN1c3RvbWVyp2NhcmRfaWSiazGpZGV2aWNlX2lkomQxomlwqDEwLjAuMC43"
        ),
        ("after", "amount_minor", "currency"),
    ),
    Recorded(
        "before messages named the one before",
        b64decode(
            "hKR0eXBlq3Njb3JlX2JhdGNooXYBpXNoYXJkAKhwYXltZW50c5PeAAijdWlk2SQwMTlhYmMyMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDGpc291cmNlX2lkpmZh"
            "dWx0c650cmFuc2FjdGlvbl9pZKNiLTGub2NjdXJyZWRfYXRfbXPPAAABmraY0mCuYWNjZXB0ZWRfYXRfbXPPAAABmraY1FSsYW1vdW50X21pbm9yzQTiqGN1cnJlbmN5"
            "o0VVUqtjdXN0b21lcl9pZKpiLWN1c3RvbWVy3gAUo3VpZNkkMDE5YWJjMjAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAyqXNvdXJjZV9pZKZmYXVsdHOudHJhbnNh"
            "Y3Rpb25faWSjYi0yrm9jY3VycmVkX2F0X21zzwAAAZq2mbzArmFjY2VwdGVkX2F0X21zzwAAAZq2mb60rGFtb3VudF9taW5vcs0JxKhjdXJyZW5jeaNFVVKrY3VzdG9t"
            "ZXJfaWSqYi1jdXN0b21lcqdjYXJkX2lkomsxq21lcmNoYW50X2lkom0xsW1lcmNoYW50X2NhdGVnb3J5pDU0MTGwbWVyY2hhbnRfY291bnRyeaJQVKdjaGFubmVsqWVj"
            "b21tZXJjZalkZXZpY2VfaWSiZDGiaXCoMTAuMC4wLjeqZW1haWxfaGFzaKJlMahsYXRpdHVkZctAQ1wo9cKPXKlsb25naXR1ZGXLwCJHrhR64UivYmlsbGluZ19jb3Vu"
            "dHJ5olBUqmF0dHJpYnV0ZXODpmJhc2tldAOkZ2lmdMOkbm90ZaLDqd4ACqN1aWTZJDAxOWFiYzIwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwM6lzb3VyY2VfaWSm"
            "ZmF1bHRzrnRyYW5zYWN0aW9uX2lko2ItM65vY2N1cnJlZF9hdF9tc88AAAGatpqnIK5hY2NlcHRlZF9hdF9tc88AAAGatpqpFKxhbW91bnRfbWlub3LNDqaoY3VycmVu"
            "Y3mjRVVSq2N1c3RvbWVyX2lkqmItY3VzdG9tZXKnY2FyZF9pZKJrMattZXJjaGFudF9pZKJtMQ=="
        ),
        b64decode(
            "g6R0eXBlr2xhYmVsc19yZWNvcmRlZKF2AaZsYWJlbHOR3gAQr3RyYW5zYWN0aW9uX3VpZNkkMDE5YWJjMjAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAypWxhYmVs"
            "pWZyYXVkrGxhYmVsX3NvdXJjZapjaGFyZ2ViYWNrrm9jY3VycmVkX2F0X21zzwAAAZq2mbzArnJlcG9ydGVkX2F0X21zzwAAAZq2mqsIq21lcmNoYW50X2lkom0xq2N1"
            "c3RvbWVyX2lkqmItY3VzdG9tZXKnY2FyZF9pZKJrMalkZXZpY2VfaWSiZDGiaXCoMTAuMC4wLjesYW1vdW50X21pbm9yAKhjdXJyZW5jeaCxbWVyY2hhbnRfY2F0ZWdv"
            "cnnAsG1lcmNoYW50X2NvdW50cnnAqGxhdGl0dWRlwKlsb25naXR1ZGXA"
        ),
        ("after",),
    ),
)
