"""Drift: known values, no alarm without drift at the stated rate, an alarm with it; samples in which every payment has the same chance."""

import numpy as np
import pytest

from models.features.vector import FloatArray
from models.monitoring.drift import BINS, Bins, compare, kolmogorov_smirnov, moved_since, psi
from models.monitoring.sampling import FIRST_SHARE, PIECES, share_for, stretches
from models.scoring.reference import condense, condensed, judged_rows

DAY_MS = 86_400_000
POINTS = 300
HOUR_MS = 3_600_000


def normal(rows: int, seed: int, mean: float = 0.0) -> FloatArray:
    return np.random.default_rng(seed).normal(mean, 1.0, rows)


def test_psi_is_the_sum_that_its_definition_says() -> None:
    """Ten equal bins before; afterwards the lowest holds twice its share and the highest nothing but the smoothing."""
    before = np.repeat(np.arange(10.0), 100_000)
    now = np.concatenate([np.zeros(200_000), np.repeat(np.arange(1.0, 9.0), 100_000)])
    tiny = 0.5 / 1e6
    expected = 0.1 * np.log(2) + (0.1 - tiny) * np.log(0.1 / tiny)
    assert psi(before, now) == pytest.approx(expected, rel=1e-3)


def test_psi_is_symmetric_on_its_bins_and_nothing_for_the_same_values() -> None:
    before, now = normal(5_000, 1), normal(5_000, 2, 0.4)
    bins = Bins.of(before)
    assert psi(before, now, bins) == pytest.approx(psi(now, before, bins), rel=1e-12)
    assert psi(before, before) == pytest.approx(0.0, abs=1e-12)


def test_psi_without_drift_is_what_chance_alone_makes_of_it() -> None:
    """(bins - 1) * (1 / n + 1 / m) on average (Yurdakul and Naranjo 2020)."""
    n, m = 2_000, 1_000
    found = [psi(normal(n, 2 * seed), normal(m, 2 * seed + 1)) for seed in range(200)]
    assert np.mean(found) == pytest.approx((BINS - 1) * (1 / n + 1 / m), rel=0.15)


def test_unknown_values_are_a_bin_of_their_own() -> None:
    before, now = normal(10_000, 1), normal(10_000, 2)
    before[:500], now[:8_000] = np.nan, np.nan
    gap = 0.75 * np.log(0.8 / 0.05)
    rest = (0.2 - 0.95) * np.log(0.2 / 0.95)
    assert psi(before, now) == pytest.approx(gap + rest, rel=0.02)
    assert kolmogorov_smirnov(before, now)[0] == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(("before", "now"), [(0.05, 0.6), (0.95, 0.4), (0.5, 0.95)])
def test_a_flag_that_was_nearly_constant_is_seen_to_change(before: float, now: float) -> None:
    random = np.random.default_rng(3)
    a, b = ((random.random(20_000) < share).astype(float) for share in (before, now))
    odds = np.log(now * (1 - before) / (before * (1 - now)))
    assert psi(a, b) == pytest.approx((now - before) * odds, rel=0.1)


def test_a_column_nobody_knows_compares_with_itself_and_with_known_values() -> None:
    unknown = np.full(1_000, np.nan)
    assert psi(unknown, unknown) == pytest.approx(0.0, abs=1e-12)
    assert kolmogorov_smirnov(unknown, unknown) == (0.0, 1.0)
    assert psi(unknown, normal(1_000, 1)) > 1
    assert psi(normal(1_000, 1), unknown) > 1


def test_few_features_are_called_moved_when_none_has() -> None:
    """20 looks at 50 features each: the share of looks with any discovery stays near the stated rate, without the guard too."""
    looks = [
        compare(
            np.random.default_rng(seed).normal(size=(POINTS, 50)),
            np.random.default_rng(seed + 99).normal(size=(3_000, 50)),
        )
        for seed in range(20)
    ]
    assert sum(one.p <= 0.05 for look in looks for one in look) <= 5
    assert not any(one.moved for look in looks for one in look)


def test_a_trifle_is_sure_in_many_payments_and_still_not_moved() -> None:
    before, now = normal(100_000, 1)[:, None], normal(100_000, 2, 0.05)[:, None]
    [found] = compare(before, now)
    assert found.p < 1e-6
    assert not found.moved


def test_the_shifted_feature_is_the_one_called_moved() -> None:
    reference = condensed(np.random.default_rng(1).normal(size=(20_000, 31)), POINTS)
    recent = np.random.default_rng(3).normal(size=(5_000, 31))
    recent[:, 7] += 0.8
    recent[:4_000, 11] = np.nan
    found = compare(reference, recent)
    assert [column for column, one in enumerate(found) if one.moved] == [7, 11]
    assert (found[11].unknown_before, found[11].unknown_now) == (0.0, 0.8)


def test_what_moved_as_far_before_it_was_judged_is_no_news() -> None:
    """The first feature drifts all the time, the second has begun to; the third column, the score, has nothing before it."""
    learned, judged = (np.random.default_rng(seed).normal(size=(20_000, 3)) for seed in (1, 2))
    recent = np.random.default_rng(3).normal(size=(3_000, 3)) + 0.9
    learned[:, 0] -= 1.2
    found = compare(condensed(judged, POINTS), recent, condensed(learned[:, :2], 100))
    assert [one.moved for one in found] == [False, True, True]
    assert found[0].anyway > found[0].psi > 0.25 > found[1].anyway
    assert found[2].anyway == 0.0
    recent[:, 0] += 3.0
    assert compare(condensed(judged, POINTS), recent, condensed(learned[:, :2], 100))[0].moved


def test_the_first_day_of_the_move_is_named() -> None:
    reference, day = condense(normal(10_000, 1), POINTS), np.repeat(np.arange(7), 300)
    recent = normal(2_100, 2)
    assert moved_since(reference, recent, day) is None
    recent[day >= 4] += 1.5
    assert moved_since(reference, recent, day) == 4
    recent[day == 1] += 1.5
    assert moved_since(reference, recent, day) == 4
    recent[day == 6] -= 1.5
    assert moved_since(reference, recent, day) is None


def test_a_day_with_next_to_no_payments_does_not_end_the_move() -> None:
    reference = condense(normal(10_000, 1), POINTS)
    day = np.repeat([0, 1, 2], [300, 5, 300])
    recent = normal(605, 2) + np.where(day == 1, 0.0, 1.5)
    assert moved_since(reference, recent, day) == 0


def test_a_condensed_column_keeps_its_distribution_and_its_unknown_share() -> None:
    column = np.concatenate([np.random.default_rng(1).exponential(size=70_000), np.full(30_000, np.nan)])
    small = condense(column, POINTS)
    assert len(small) == POINTS
    assert np.isnan(small).mean() == pytest.approx(0.3, abs=1 / POINTS)
    assert np.isin(small[~np.isnan(small)], column).all()
    assert psi(small, column) < 1e-3
    assert kolmogorov_smirnov(small, column)[0] <= 1 / POINTS


def test_whole_weeks_are_judged_by_where_there_is_one() -> None:
    occurred = np.arange(0, 17 * DAY_MS, HOUR_MS)
    rows = judged_rows(occurred, 0, 17 * DAY_MS)
    assert (occurred[rows].min(), occurred[rows].max()) == (3 * DAY_MS, 17 * DAY_MS - HOUR_MS)
    assert len(judged_rows(occurred, 12 * DAY_MS, 17 * DAY_MS)) == 5 * 24
    many = judged_rows(np.arange(200_000), 0, 200_000)
    assert len(np.unique(many)) == 50_000


@pytest.mark.parametrize("share", [FIRST_SHARE, 0.2, 1.0])
def test_stretches_lie_in_their_pieces_and_make_the_share(share: float) -> None:
    chosen = stretches(1_000, 1_000 + 7 * DAY_MS, share)
    assert len(chosen.start_ms) == PIECES
    assert (chosen.start_ms[1:] >= chosen.end_ms[:-1]).all()
    assert chosen.start_ms[0] >= 1_000
    assert chosen.end_ms[-1] <= 1_000 + 7 * DAY_MS
    assert chosen.share == pytest.approx(share, rel=1e-3)
    if share == 1.0:
        assert (chosen.start_ms[1:] == chosen.end_ms[:-1]).all()


def test_busy_hours_weigh_in_the_sample_as_they_do_in_the_traffic() -> None:
    random = np.random.default_rng(5)
    hour = np.repeat(np.arange(168), np.where(np.arange(168) % 24 < 6, 200, 3_000))
    occurred = np.sort(hour * HOUR_MS + random.integers(0, HOUR_MS, len(hour)))

    def inside(share: float) -> FloatArray:
        chosen = stretches(0, 7 * DAY_MS, share)
        which = np.searchsorted(chosen.start_ms, occurred, side="right") - 1
        return occurred[(which >= 0) & (occurred < chosen.end_ms[which])]

    share = share_for(20_000, len(inside(FIRST_SHARE)))
    sample = inside(share)
    assert len(sample) == pytest.approx(20_000, rel=0.25)
    night = (sample // HOUR_MS % 24 < 6).mean()
    assert night == pytest.approx((hour % 24 < 6).mean(), abs=0.01)


def test_a_few_payments_are_all_read() -> None:
    assert share_for(20_000, 0) == 1.0
    assert share_for(20_000, 29) == 1.0
    assert share_for(20_000, 1_024) == pytest.approx(20_000 / (1_024 * 1_024))
