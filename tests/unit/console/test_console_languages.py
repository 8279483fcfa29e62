"""Two languages and any time zone: what a reader is sent depends on who reads, and on nothing that was there before."""

from datetime import UTC, datetime, timedelta

import pytest
from litestar.testing import RequestFactory

from console.hub import Change, Drawn, Listener, queue_message
from console.i18n import Reader, Words, gettext, language_of, marked, ngettext, reader, speaking_to, stored
from console.reading import reader_of
from console.refusals import told
from console.views import lists, words
from console.views.queue import reason_words
from core.base.ids import new_uuid
from core.base.terms import Label, Language
from core.rules import defaults
from core.tables.casework import Alert
from workers import verdicts

BRAZIL = Reader(Language.PT_BR, "America/Sao_Paulo")
NOW = datetime(2026, 11, 24, 1, 30, 5, tzinfo=UTC)
SEVEN = {"name": "device_velocity_1h_count", "value": 7.0, "contribution": 1.0, "usual": 1.0}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", Language.EN),
        ("pt-BR,pt;q=0.9,en;q=0.8", Language.PT_BR),
        ("en-GB,en;q=0.9,pt;q=0.5", Language.EN),
        ("fr,pt-PT;q=0.7,en;q=0.3", Language.PT_BR),
        ("fr", Language.EN),
        ("pt;q=many, en;q=0.1", Language.EN),
    ],
)
def test_the_browsers_first_language_that_we_speak(header: str, expected: Language) -> None:
    assert language_of(header) is expected


def asked(cookies: str = "", accepted: str = "") -> Reader:
    request = RequestFactory().get("/", headers={"cookie": cookies, "accept-language": accepted})
    return reader_of(request)


def test_a_cookie_outweighs_the_browser_and_nonsense_weighs_nothing() -> None:
    assert asked(accepted="pt") == Reader(Language.PT_BR)
    assert asked("ronda_language=en", "pt") == Reader()
    assert asked("ronda_language=xx; ronda_zone=../etc/passwd", "pt") == Reader(Language.PT_BR)
    assert asked("ronda_zone=America/Sao_Paulo").zone == "America/Sao_Paulo"


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [(123456789, "BRL", "R$\xa01.234.567,89"), (500, "JPY", "JP¥\xa0500"), (-100, "EUR", "-€\xa01,00")],
)
def test_money_as_brazil_writes_it(minor: int, currency: str, expected: str) -> None:
    with speaking_to(BRAZIL):
        assert words.money(minor, currency) == expected


def test_numbers_as_brazil_writes_them() -> None:
    with speaking_to(BRAZIL):
        assert words.percent(0.345, 1) == "34,5%"
        assert words.compact(0.255) == "0,255"
        assert words.count(12_345) == "12.345"
        assert words.signed(-0.4) == "−0,40"
        assert words.number(None) == "desconhecido"


def test_times_are_in_the_readers_zone_and_say_so() -> None:
    with speaking_to(BRAZIL):
        shown = words.moment(NOW, NOW + timedelta(minutes=7))
    assert shown.short == "23 nov 22:30"
    assert shown.full == "23 nov 2026, 22:30:05 UTC−03:00 (24 nov 2026, 01:30:05 UTC)"
    assert shown.iso == "2026-11-24T01:30:05.000Z"


def test_words_chosen_at_import_speak_whatever_language_is_asked_for_later() -> None:
    chosen = Words({1: marked("Fraud")})
    assert (chosen[1], words.LABELS[Label.FRAUD]) == ("Fraud", "Fraud")
    with speaking_to(BRAZIL):
        assert (chosen[1], words.LABELS[Label.FRAUD], stored("Fraud")) == ("Fraude", "Fraude", "Fraude")
        assert words.ago(timedelta(0)) == "agora"
        assert words.ago(timedelta(minutes=-7)) == "em 7 min"
    assert reader() == Reader()


def test_what_is_not_translated_yet_is_said_in_english() -> None:
    with speaking_to(BRAZIL):
        assert gettext("%(n)s things nobody translated", n=3) == "3 things nobody translated"
        assert ngettext("%(num)s untold thing", "%(num)s untold things", 2) == "2 untold things"
        assert stored("A rule of 100% our own") == "A rule of 100% our own"


def test_the_live_queue_draws_a_row_once_for_all_who_read_alike() -> None:
    drawn: list[Reader] = []

    def draw() -> str:
        drawn.append(reader())
        return gettext("Fraud")

    alert = Alert(id=new_uuid(), opened_at=NOW, status="open")
    change = Change(alert, Drawn(draw))
    people = [Listener("queue", new_uuid(), NOW, reader=who) for who in (Reader(), BRAZIL, BRAZIL)]
    sent = [queue_message(listener, [change], Drawn(lambda: ""), 1) for listener in people]
    assert [("Fraude" in message) for message in sent] == [False, True, True]
    assert drawn == [Reader(), BRAZIL]


@pytest.mark.parametrize(
    ("said", "english", "portuguese"),
    [
        ("this alert is closed already", "This alert is closed already.", "Este alerta já está encerrado."),
        ("a password has 12 to 256 characters", None, "Uma senha tem de 12 a 256 caracteres."),
        ("This needs the role lead; yours is viewer.", None, "Isto exige o perfil líder; o seu é leitor."),
        ("this training is done already", None, "Este treinamento já está concluído."),
        ("this card is on the deny list already", None, "Este cartão já está na lista de bloqueio."),
        (
            "stolen_card is no reason for legitimate",
            "Stolen card is no reason for legitimate.",
            "Cartão roubado não é um motivo para legítimo.",
        ),
        (
            "only a candidate can begin to shadow; this model is the champion",
            None,
            "Só um candidato pode entrar em sombra; este modelo é o campeão.",
        ),
        ("100% of nothing", "100% of nothing.", "100% of nothing."),
    ],
)
def test_what_acts_refuse_is_said_in_the_readers_language(said: str, english: str | None, portuguese: str) -> None:
    assert told(said) == (english or f"{said[:1].upper()}{said[1:]}".rstrip(".") + ".")
    with speaking_to(BRAZIL):
        assert told(said) == portuguese


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        (
            {"reason_code": "device_activity", "reason_features": [SEVEN]},
            "7 transações neste dispositivo na última hora; o habitual é 1.",
        ),
        ({"reason_code": "device_activity", "reason_features": None}, "Atividade do dispositivo"),
        (
            {"reason_code": "device_activity", "reason_features": [{**SEVEN, "name": "of_yesterday"}]},
            "Atividade do dispositivo",
        ),
        (
            {"reason_code": "no_model", "top_reason": verdicts.NO_MODEL},
            "Decidido só por regras: ainda não há modelo em uso",
        ),
        (
            {"reason_code": "deny_list", "top_reason": "This card is on the deny list: mules"},
            "Este cartão está na lista de bloqueio: mules",
        ),
        ({"reason_code": "own", "top_reason": "A rule of our own"}, "A rule of our own"),
    ],
)
def test_the_queue_tells_the_whole_reason_in_the_readers_language(alert: dict[str, object], expected: str) -> None:
    row = Alert(**{"currency": "BRL", "top_reason": "7 payments on this device", **alert})
    assert reason_words(row) == row.top_reason
    with speaking_to(BRAZIL):
        assert reason_words(row) == expected


def test_the_first_rules_are_told_in_the_readers_language() -> None:
    assert list(lists.FIRST_RULES) == [rule["text"] for rule in defaults.FIRST_RULES]
    with speaking_to(BRAZIL):
        assert lists.hit_words(lists.FIRST_RULES[0]) == "Dez ou mais transações com este dispositivo em uma hora"
        assert lists.hit_words("A rule of 100% our own") == "A rule of 100% our own"
