"""What has to hold before a model may be watched beside the champion, or take its place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Report = Mapping[str, Any]
Answer = tuple[str, bool, str]


@dataclass(frozen=True)
class GateLimits:
    """least_frauds: in the test slice. least_lift: average precision / fraud rate. calibration: least and most frauds expected for each
    fraud that came; a model is refused when the whole interval of this ratio lies outside, as a test slice with few frauds moves it by a
    third. Within calibration_good a model is never refused for being calibrated worse than the champion, nor where its ratio is surely off
    by no more than calibration_margin (of the logarithm) beyond the champion's: on the same payments the least difference is a sure one.

    A feature that tells more than the payment itself (by more than leak_margin) knows the answer when it ranks fraud as well as
    leak_auc alone, or names leak_recall of the frauds with next to no false alarm, or makes leak_share of the score and ranks as well as
    leak_share_auc.

    one_row_ms, row_us, explain_ms: generous, because a training machine is busy.
    """

    least_frauds: int = 20
    least_lift: float = 3.0
    calibration: tuple[float, float] = (0.67, 1.5)
    calibration_good: tuple[float, float] = (0.8, 1.25)
    calibration_margin: float = 0.05
    leak_auc: float = 0.985
    leak_margin: float = 0.02
    leak_recall: float = 0.5
    leak_share: float = 0.75
    leak_share_auc: float = 0.95
    one_row_ms: float = 5.0
    row_us: float = 600.0
    explain_ms: float = 30.0


def gates(report: Report, limits: GateLimits) -> list[dict[str, Any]]:
    """[{name, passed, detail}]; a model with one that is not passed is refused. report: what `build_report` made."""
    answers = [*_alone(report, limits), *_against_champion(report, limits)]
    return [{"name": name, "passed": bool(passed), "detail": detail} for name, passed, detail in answers]


def _alone(report: Report, limits: GateLimits) -> Iterator[Answer]:
    rate = report["frauds"] / report["payments"]
    lift = report["average_precision"] / rate
    low, high = limits.calibration
    ratio = report["calibration_ratio"]
    least, most = report["intervals"].get("calibration_ratio", [ratio, ratio])
    yield (
        "enough_evidence",
        report["frauds"] >= limits.least_frauds,
        f"{report['frauds']} frauds in the test slice, at least {limits.least_frauds} needed",
    )
    yield (
        "ranks_fraud_first",
        lift >= limits.least_lift,
        f"average precision {report['average_precision']:.3f} is {lift:.1f} times the fraud rate, at least {limits.least_lift:g} needed",
    )
    yield (
        "calibrated",
        low <= most and least <= high,
        f"expects {ratio:.2f} ({least:.2f} to {most:.2f}) times the frauds that came, allowed {low:g} to {high:g}",
    )
    yield _no_leak(report["leakage"], limits)
    yield _fast(report["latency"], limits)


def _no_leak(leakage: Report, limits: GateLimits) -> Answer:
    knowing = {
        one["name"]: one
        for one in (*leakage.get("alone_in_training", ()), *leakage["alone"])
        if not one["own"] and _knows(one, leakage["payment_itself"], limits)
    }
    suspects = [_told(one) for one in knowing.values()]
    if leakage["labels_too_early"]:
        suspects.append(f"{leakage['labels_too_early']} labels were reported before their payment happened")
    if suspects:
        return "no_leaking_feature", False, "; ".join(suspects) + ": this knows the answer before it is known"
    best = max(leakage["alone"], key=lambda one: one["roc_auc"], default=None)
    detail = f"{leakage['features_checked']} features checked"
    return "no_leaking_feature", True, f"{detail}; the best one by itself: {_told(best)}" if best else detail


def _knows(one: Report, payment: Report, limits: GateLimits) -> bool:
    ranks = one["roc_auc"] > payment["roc_auc"] + limits.leak_margin
    names = one["recall_when_pure"] > payment["recall_when_pure"] + limits.leak_margin
    return bool(
        (ranks and one["roc_auc"] >= limits.leak_auc)
        or (names and one["recall_when_pure"] >= limits.leak_recall)
        or (ranks and one["share"] >= limits.leak_share and one["roc_auc"] >= limits.leak_share_auc)
    )


def _told(one: Report) -> str:
    return (
        f"{one['name']} alone has ROC AUC {one['roc_auc']:.3f}, names {one['recall_when_pure']:.0%} of the frauds with hardly a false "
        f"alarm, and makes {one['share']:.0%} of the score"
    )


def _fast(latency: Report, limits: GateLimits) -> Answer:
    passed = (
        latency["one_row_ms"] <= limits.one_row_ms
        and latency["row_us_at_256"] <= limits.row_us
        and latency["explain_ms"] <= limits.explain_ms
    )
    return (
        "fast_enough",
        passed,
        f"one payment takes {latency['one_row_ms']:.2f} ms, one of a batch {latency['row_us_at_256']:.0f} µs, one explanation "
        f"{latency['explain_ms']:.1f} ms; allowed {limits.one_row_ms:g} ms, {limits.row_us:g} µs and {limits.explain_ms:g} ms",
    )


def _against_champion(report: Report, limits: GateLimits) -> Iterator[Answer]:
    champion, gain = report.get("champion"), report.get("gain")
    if not champion or not gain:
        return
    low, high = gain["average_precision"]
    yield (
        "not_worse_than_champion",
        high >= 0,
        f"average precision {report['average_precision']:.3f} against the champion's {champion['average_precision']:.3f} on the same "
        f"payments; difference between {low:+.3f} and {high:+.3f}",
    )
    yield _calibrated_like(report, champion, gain["calibration"], limits)
    yield _in_each_segment(report["segments"])


def _calibrated_like(report: Report, champion: Report, gain: list[float], limits: GateLimits) -> Answer:
    good_low, good_high = limits.calibration_good
    good = good_low <= report["calibration_ratio"] <= good_high
    return (
        "not_worse_calibrated",
        good or gain[1] >= -limits.calibration_margin,
        f"expects {report['calibration_ratio']:.2f} times the frauds that came, the champion {champion['calibration_ratio']:.2f}; "
        f"{good_low:g} to {good_high:g} is good whatever the champion's",
    )


def _in_each_segment(segments: list[Report]) -> Answer:
    compared = [one for one in segments if one["gain"]]
    worse = [
        f"{one['name']} ({one['by']}): difference between {one['gain'][0]:+.3f} and {one['gain'][1]:+.3f}"
        for one in compared
        if one["gain"][1] < 0
    ]
    if worse:
        return "not_worse_in_any_segment", False, "ranks worse than the champion in " + "; ".join(worse)
    return "not_worse_in_any_segment", True, f"{len(compared)} segments have enough frauds to compare, worse in none"
