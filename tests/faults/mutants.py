"""Guards taken out one at a time, in a copy of the tree, and the test that must notice each.

A mutant is a piece of source text and what stands there instead. When the text is not where the mutant looks for it, the guard was
rewritten: write the mutant anew, so that the test is again seen failing.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.system import HOME

PARTS = ("backend", "console", "core", "models", "workers", "tests", "pyproject.toml")
MOST_S = 480.0


@dataclass(frozen=True)
class Mutant:
    """`search` stands exactly once in `file`. `test`: a pytest node that passes without the mutant and fails with it."""

    name: str
    guard: str
    file: str
    search: str
    replace: str
    test: str
    quick: bool = False
    """Needs few servers or none: tried in the short profile, too."""

    def applied(self, text: str) -> str:
        """Raises AssertionError when the guard is not there, or more than once."""
        found = text.count(self.search)
        assert found == 1, (
            f"{self.name}: {self.file} holds its text {found} times. Was the guard rewritten? Then write the mutant anew."
        )
        return text.replace(self.search, self.replace)


MUTANTS = (
    Mutant(
        "a signature is not verified",
        "only what a trusted key signed is parsed",
        "core/infra/artifacts.py",
        "        self._verify(sha)\n",
        "",
        "tests/unit/core/test_signing.py::test_a_strangers_model_is_refused_even_when_it_is_whole",
        quick=True,
    ),
    Mutant(
        "an old reading refuses",
        "nobody is refused for a backlog that was not seen lately",
        "backend/backlog.py",
        "if self._refusing and now - self._at < STALE_S:",
        "if self._refusing:",
        "tests/unit/backend/test_pressure.py::test_an_old_reading_refuses_nobody",
        quick=True,
    ),
    Mutant(
        "the door flaps",
        "payments are refused until half of the limit is left",
        "backend/backlog.py",
        "limit = self._most // 2 if self._refusing else self._most",
        "limit = self._most",
        "tests/unit/backend/test_pressure.py::test_it_refuses_above_the_limit_until_half_are_left",
        quick=True,
    ),
    Mutant(
        "whatever waits, payments are taken",
        "a post is refused before anything of it is stored",
        "backend/backlog.py",
        "            self._pressure.admit(time.monotonic())\n",
        "            pass\n",
        "tests/integration/test_backlog.py::test_payments_are_refused_while_too_many_are_undecided",
    ),
    Mutant(
        "a label is taken before its payment",
        "a label waits until its payment is part of the features' state",
        "workers/feedback.py",
        "        if not await _under_way(resources, features, labels):\n",
        "        if True:\n",
        "tests/integration/test_feedback.py::test_a_label_waits_until_its_payment_was_taken",
    ),
    Mutant(
        "a label overtakes the payments of an outage",
        "a label waits for what was left out before it",
        "workers/feedback.py",
        "    uids |= {row.uid for row in left_out}\n",
        "",
        "tests/faults/test_gaps.py::test_a_label_waits_for_what_an_outage_left_out",
    ),
    Mutant(
        "labels do not stand between the payments of an outage",
        "a label stands before the first payment that was accepted after it, also among those that were left out",
        "workers/tail.py",
        "_in_order(payments, possible, all_labels=not payments)",
        "_in_order(payments, possible if not payments else [], all_labels=not payments)",
        "tests/faults/test_gaps.py::test_a_label_in_the_middle_of_an_outage",
    ),
    Mutant(
        "a gap closes over what was not kept",
        "what was left out and is not kept is read from PostgreSQL",
        "workers/live_features.py",
        "            self.begin_again()\n",
        "            pass\n",
        "tests/faults/test_gaps.py::test_more_is_left_out_than_is_kept",
    ),
    Mutant(
        "a scorer may seal",
        "a login takes on the roles of its process only",
        "backend/migrations/logins.py",
        "    SCORER: (SCORER_ROLE,),",
        "    SCORER: (SCORER_ROLE, SEALER_ROLE),",
        "tests/integration/test_logins.py::test_a_login_takes_on_its_role_and_no_other[ronda_scorer-ronda_score]",
    ),
    Mutant(
        "a scorer may do what all may",
        "a scorer reads no account and changes nothing it decides by",
        "backend/migrations/logins.py",
        "    SCORER: (SCORER_ROLE,),",
        "    SCORER: (SCORER_ROLE, APP_ROLE),",
        "tests/integration/test_logins.py::test_a_scorer_decides_and_does_nothing_else[SELECT FROM api_key]",
    ),
    Mutant(
        "acceptance is ordered by words",
        "the order of acceptance is one of numbers",
        "core/stores/commit_order.py",
        "ORDER BY recent.xid LIMIT 1",
        "ORDER BY xid LIMIT 1",
        "tests/integration/test_guards.py::test_the_order_of_acceptance_is_one_of_numbers",
    ),
    Mutant(
        "a rebuild leaves out what was imported last",
        "a new feature state takes history that was not settled when it was begun",
        "workers/tail.py",
        "for _, row in behind]",
        "for _, row in behind if not row.imported]",
        "tests/integration/test_rebuild.py::test_a_rebuild_has_what_was_imported_while_a_transaction_ran",
    ),
    Mutant(
        "a trail that was cut short is whole",
        "the copy of the trail that is verified must have an end",
        "core/stores/trail.py",
        "        if self._rest != _FILE_END:",
        "        if False:",
        "tests/unit/core/test_trail.py::test_a_copy_that_was_cut_short_is_no_shorter_trail",
        quick=True,
    ),
    Mutant(
        "the generation is not checked",
        "an emptied Redis is not written to as if it were whole",
        "models/features/lua/stream.lua",
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then",
        "if false then",
        "tests/contract/test_features.py::test_an_emptied_redis_is_noticed_and_nothing_is_made_up",
        quick=True,
    ),
    Mutant(
        "what is not known is approved",
        "without features or a model, at least review",
        "core/rules/outcome.py",
        "if status is FeaturesStatus.DEGRADED or score is None:",
        "if False:",
        "tests/unit/core/test_rules.py::test_the_most_severe_wins_and_nothing_unknown_is_approved",
    ),
    Mutant(
        "a node passes for a leaf",
        "nodes are hashed with a prefix of their own",
        "core/base/merkle.py",
        'return sha256(b"\\x01" + left + right).digest()',
        "return sha256(left + right).digest()",
        "tests/unit/core/test_merkle.py::test_root_peaks_and_paths",
    ),
    Mutant(
        "the memo is not looked at",
        "a payment that comes again changes no counter",
        "models/features/lua/stream.lua",
        "if first then return first end",
        "if false then return first end",
        "tests/contract/test_features.py::test_labels_count_from_their_report_and_change_nothing_scored",
    ),
    Mutant(
        "a restarted Redis is believed",
        "another run id may have lost its newest seconds",
        "models/features/lua/stream.lua",
        "if run ~= ARGV[3] and run ~=",
        "if false and run ~=",
        "tests/integration/test_guards.py::test_a_redis_that_was_restarted_is_noticed",
    ),
    Mutant(
        "a restarted Redis takes labels",
        "a label does not come before one that was lost",
        "models/features/lua/stream.lua",
        "if run ~= ARGV[3] and run ~=",
        "if answering and run ~=",
        "tests/faults/test_gaps.py::test_a_label_between_a_restart_and_its_recovery",
    ),
    Mutant(
        "a recovery goes on after the next restart",
        "what is taken again does not stand before what was lost meanwhile",
        "models/features/lua/stream.lua",
        "if run ~= ARGV[3] and run ~=",
        "if #ARGV[3] < 8 and run ~=",
        "tests/integration/test_guards.py::test_a_recovery_ends_with_the_server_it_was_begun_on",
    ),
    Mutant(
        "an idle scorer looks at nothing",
        "a restart is noticed without any payment",
        "workers/live_features.py",
        "elif tick % WATCH_TICKS == 0:",
        "elif False:",
        "tests/faults/test_gaps.py::test_a_restart_is_noticed_without_any_payment",
    ),
    Mutant(
        "what was lost long ago is not missed",
        "a restart is noticed however long nobody paid",
        "workers/live_features.py",
        "since=now - REMEMBERED, limit=KNOWN)",
        "since=start - self._window, limit=KNOWN)",
        "tests/faults/test_gaps.py::test_a_restart_that_nobody_noticed_for_an_hour",
    ),
    Mutant(
        "another's gap is not made up for",
        "who takes a shard over takes what was left out",
        "workers/order.py",
        "if p.uid in decided and p.uid not in taken])",
        "if False])",
        "tests/faults/test_gaps.py::test_a_scorer_that_takes_over_inside_a_gap",
    ),
    Mutant(
        "a full Redis ends the recovery",
        "a rebuild that Redis has no room for is tried again",
        "workers/rebuild.py",
        "except (RedisError, OSError) as error:",
        "except ZeroDivisionError as error:",
        "tests/integration/test_live_features.py::test_a_rebuild_that_finds_no_room_is_tried_again",
    ),
    Mutant(
        "a lost queue stays lost",
        "queues that a broker lost are made again",
        "core/infra/rabbit.py",
        "                    await self._bus.declare_again()\n",
        "                    pass\n",
        "tests/contract/test_bus.py::test_a_server_that_lost_everything_has_its_queues_again[rabbit]",
    ),
    Mutant(
        "what was given up stays so",
        "a dead letter that can be scored at last is decided again",
        "workers/score.py",
        "        if known:\n            await decide_at_last",
        "        if False:\n            await decide_at_last",
        "tests/integration/test_suspect.py::test_a_redriven_payment_that_can_be_scored_is_decided_again[rabbit-there]",
    ),
    Mutant(
        "the lock of a rebuild is not renewed",
        "a rebuild is the only one until it ends",
        "workers/rebuild.py",
        "await lock.extend(LOCK_S, replace_ttl=True)",
        "pass",
        "tests/integration/test_live_features.py::test_a_long_rebuild_stays_the_only_one",
    ),
    Mutant(
        "a lost rebuild is published",
        "a state is published by the server it was built on",
        "models/features/lua/publish.lua",
        "if run ~= ARGV[1] or ",
        "if ",
        "tests/integration/test_guards.py::test_a_redis_that_was_restarted_is_noticed",
    ),
    Mutant(
        "a decision knows no conflict",
        "the second decision of a payment is not stored",
        "core/stores/flow.py",
        "ON CONFLICT (transaction_uid, version) DO NOTHING RETURNING transaction_uid",
        "RETURNING transaction_uid",
        "tests/integration/test_guards.py::test_a_payment_is_decided_once",
    ),
    Mutant(
        "a bundle is committed as it is",
        "one statement commits all of it, and only while everything is new",
        "core/infra/postgres.py",
        "ELSE CAST(n || ' of ' || {number} || ' rows are new' AS boolean) END",
        "ELSE true END",
        "tests/integration/test_line.py::test_nothing_stays_of_a_bundle_that_is_not_all_new",
    ),
    Mutant(
        "acked before the commit",
        "an ack follows the commit",
        "workers/score.py",
        "        payments = in_arrival_order(",
        "        for delivery, _ in readable:\n            await delivery.ack()\n        payments = in_arrival_order(",
        "tests/integration/test_guards.py::test_what_fails_before_its_commit_is_delivered_again",
    ),
    Mutant(
        "a copy is decided with its original",
        "a payment is in a batch once",
        "workers/score.py",
        "return list({payment.uid: payment for payment in merged}.values())",
        "return list(merged)",
        "tests/unit/workers/test_score_order.py::test_a_payment_that_was_published_twice_is_there_once",
    ),
    Mutant(
        "a taken key is no conflict",
        "a source's key is taken once",
        "core/stores/accepting.py",
        "ON CONFLICT (transaction_id, source_id) DO NOTHING RETURNING uid",
        "RETURNING uid",
        "tests/integration/test_guards.py::test_a_sources_key_is_taken_once",
    ),
    Mutant(
        "bodies are not compared",
        "the same id with another body is a conflict",
        "backend/ingest.py",
        "known.body_sha == arrival.body_sha",
        "True",
        "tests/integration/test_ingest_api.py::test_one_payment_is_stored_queued_and_repeatable",
    ),
    Mutant(
        "marked without a confirm",
        "an outbox row is sent when the broker confirmed it",
        "core/acts/outbox.py",
        'unconfirmed = set(error.facts["unconfirmed"])',
        "unconfirmed = set()",
        "tests/integration/test_guards.py::test_what_was_not_confirmed_stays_in_the_outbox",
    ),
    Mutant(
        "unroutable messages are confirmed",
        "a message that no queue takes is an error",
        "core/infra/rabbit.py",
        "mandatory=True",
        "mandatory=False",
        "tests/contract/test_bus.py::test_publishing_to_a_missing_queue_names_the_messages[rabbit]",
    ),
    Mutant(
        "a publish waits for ever",
        "every publish has a timeout",
        "core/infra/rabbit.py",
        "timeout=self._timeout_s)",
        "timeout=None)",
        "tests/contract/test_bus.py::test_a_frozen_server_fails_publishing_in_time[rabbit]",
    ),
    Mutant(
        "returns are not counted",
        "how often a message came back is known",
        "core/infra/rabbit.py",
        "self.redeliveries = returned if isinstance(returned, int) else int(bool(message.redelivered))",
        "self.redeliveries = 0",
        "tests/contract/test_bus.py::test_released_comes_back[rabbit]",
    ),
    Mutant(
        "nobody is suspect",
        "what came back twice leaves its company",
        "workers/suspect.py",
        "SUSPECT_FROM: Final = 2",
        "SUSPECT_FROM: Final = 1000",
        "tests/integration/test_suspect.py::test_a_poisonous_payment_dies_alone_and_is_answered[rabbit]",
    ),
    Mutant(
        "nobody looks back",
        "a payment that was overtaken is taken in its turn",
        "workers/order.py",
        "missing = held.get(name) or found.get(name)",
        "missing = None",
        "tests/integration/test_order.py::test_a_publication_fails_and_is_made_up_for_later[rabbit]",
    ),
    Mutant(
        "suspects lose their turn",
        "the features take a suspect before it is moved",
        "workers/suspect.py",
        "if delivery.redeliveries < HARMFUL_FROM",
        "if False",
        "tests/integration/test_order.py::test_a_suspect_that_was_never_handled_does_not_lose_its_turn[streams]",
    ),
    Mutant(
        "the relay overtakes itself",
        "a row waits for older ones of its queue that are tried again",
        "core/stores/flow.py",
        "unsent, col(OutboxMessage.next_at) > now, OutboxMessage.attempts > 0",
        "unsent, col(OutboxMessage.next_at) > now, OutboxMessage.attempts < 0",
        "tests/integration/test_order.py::test_a_row_to_be_tried_again_keeps_younger_ones_of_its_queue_waiting",
    ),
    Mutant(
        "the export does not wait",
        "a cursor stops before what still runs",
        "core/stores/flow.py",
        '"AND d.xid < pg_snapshot_xmin(pg_current_snapshot()) "',
        '""',
        "tests/integration/test_guards.py::test_the_export_misses_nobody_who_commits_late",
    ),
    Mutant(
        "the order of acceptance does not wait",
        "a place in it has nothing new before it",
        "core/stores/commit_order.py",
        'query = query.where(text("transaction.xid < pg_snapshot_xmin(pg_current_snapshot())"))',
        "pass",
        "tests/integration/test_guards.py::test_the_order_of_acceptance_misses_nobody_who_commits_late",
    ),
    Mutant(
        "sealed too early",
        "only transactions that have ended are sealed",
        "core/stores/seals.py",
        "SELECT pg_snapshot_xmin(pg_current_snapshot()) AS hi",
        "SELECT pg_snapshot_xmax(pg_current_snapshot()) AS hi",
        "tests/faults/test_sealing.py::test_every_event_is_sealed_exactly_once",
    ),
    Mutant(
        "seals are not chained",
        "a seal holds the hash of the one before",
        "core/acts/audit_seals.py",
        "prev=last.hash if last else FIRST_PREV",
        "prev=FIRST_PREV",
        "tests/faults/test_audit_tampering.py::test_a_clean_trail_has_no_findings",
    ),
    Mutant(
        "the actor is not in the leaf",
        "a leaf covers every field that is read",
        "core/acts/audit.py",
        "            row.actor_id,\n",
        "",
        "tests/integration/test_audit.py::test_an_altered_event_is_named",
    ),
    Mutant(
        "the trail's xid may be chosen",
        "the application sets the columns it must, and no other",
        "backend/migrations/rights.py",
        '{SEALER_ROLE}",\n    f"GRANT INSERT ({AUDIT_COLUMNS}) ON audit_event',
        '{SEALER_ROLE}",\n    f"GRANT INSERT ON audit_event',
        "tests/integration/test_audit.py::test_the_application_may_not",
    ),
    Mutant(
        "the trail has no trigger",
        "nobody changes the trail, not even its owner",
        "backend/migrations/rights.py",
        '    refusing("audit_event"),\n)',
        ")",
        "tests/integration/test_audit.py::test_even_the_owner_is_stopped_by_the_trigger",
    ),
    Mutant(
        "a stale act goes through",
        "who closes an alert names the version they saw",
        "core/acts/casework.py",
        "if version is not None and alert.version != version:",
        "if False:",
        "tests/integration/test_casework.py::test_a_stale_act_changes_nothing",
    ),
)


@dataclass(frozen=True)
class Answer:
    """Of one pytest run. failed: the words of its first failure. A test that could not begin counts as neither."""

    passed: int
    failed: str | None
    seconds: float
    output: str


class Tree:
    """A copy of the source that may be broken. Compiled files come along, so that only what is changed is compiled again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            source, target = HOME / part, folder / part
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy2(source, target)

    @contextmanager
    def broken_by(self, mutant: Mutant) -> Iterator[None]:
        path = self.folder / mutant.file
        path.write_text(mutant.applied(path.read_text()))
        try:
            yield
        finally:
            shutil.copy2(HOME / mutant.file, path)

    def run(self, tests: Iterable[str]) -> Answer:
        report, started = self.folder / "report.xml", time.monotonic()
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", *tests, "-p", "no:cacheprovider", "-p", "no:playwright"]
        ran = subprocess.run(
            [*command, "--timeout=100", f"--junitxml={report}"],
            cwd=self.folder,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=MOST_S,
            check=False,
        )
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
        failures = [found.get("message", "") for case in cases for found in case.iter("failure")]
        passed = sum(len(case) == 0 or (case.find("system-out") is not None and len(case) == 1) for case in cases)
        first = failures[0].strip().splitlines()[0] if failures and failures[0].strip() else None
        return Answer(passed, first, time.monotonic() - started, ran.stdout[-3000:] + ran.stderr[-1000:])
