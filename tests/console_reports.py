"""A made-up report that holds everything a report can hold, for tests of the pages that show it. No model has these figures."""

import math
from typing import Any


def a_report(**changes: Any) -> dict[str, Any]:
    report: dict[str, Any] = {
        "average_precision": 0.742, "roc_auc": 0.9621, "card_precision_100": 0.315, "brier": 0.00231, "ece": 0.00042,
        "calibration_ratio": 1.04, "payments": 48_210, "frauds": 412, "recall_at_review": 0.78,
        "precision_at_review": 0.412, "alerts_per_day": 42.6,
        "intervals": {
            "average_precision": [0.701, 0.779], "roc_auc": [0.951, 0.972], "card_precision_100": [0.281, 0.347],
            "brier": [0.0021, 0.0026], "calibration_ratio": [0.93, 1.16], "recall_at_review": [0.73, 0.83],
            "precision_at_review": [0.37, 0.46],
        },
        "thresholds": {"review": 0.021, "decline": 0.88},
        "precision_recall": [[place / 40, 1 - 0.9 * (place / 40) ** 4] for place in range(41)],
        "reliability": [[0.0004, 0.0005, 44_000], [0.01, 0.012, 3_000], [0.1, 0.09, 700], [0.5, 0.53, 300], [0.93, 0.95, 210]],
        "top_features": [["customer_velocity_1h_count", 1.42], ["amount_vs_own_mean", 0.97], ["device_new", 0.61]],
        "champion": {
            "average_precision": 0.715, "roc_auc": 0.9588, "card_precision_100": 0.311, "brier": 0.00244,
            "ece": 0.00051, "calibration_ratio": 1.11, "recall_at_review": 0.75, "precision_at_review": 0.4,
            "alerts_per_day": 43.1, "precision_recall": [[place / 40, 1 - 0.95 * (place / 40) ** 3] for place in range(41)],
        },
        "gain": {
            "average_precision": [0.012, 0.044], "roc_auc": [-0.001, 0.007], "brier": [0.00002, 0.00021],
            "calibration": [-0.02, 0.11], "recall_at_review": [-0.01, 0.06],
        },
        "gates": [
            {"name": "enough_evidence", "passed": True, "detail": "412 frauds in the test slice, at least 20 needed"},
            {"name": "no_leaking_feature", "passed": True, "detail": "96 features checked; none knows the answer"},
            {"name": "not_worse_in_any_segment", "passed": True, "detail": "9 segments have enough frauds to compare, worse in none"},
        ],
        "cost_curve": [_cost(10 ** (-5 + place / 10)) for place in range(50)],
        "costs": {
            "currency": "EUR", "review_cost": 300.0, "friction_share": 0.1, "lost_share": 1.0, "nothing": 9_400_000.0,
            "chosen": dict(zip(_POINT, _cost(0.021), strict=True)) | {"decline": 0.88},
            "cheapest": dict(zip(_POINT, _cost(0.015), strict=True)),
        },
        "segments": [
            _segment("channel", "ecommerce", 31_000, 320, 0.761, [0.011, 0.06]),
            _segment("channel", "pos", 15_000, 88, 0.652, [-0.05, 0.041]),
            _segment("channel", "atm", 2_210, 4, None, None),
            _segment("amount_band", "under 10", 12_000, 61, 0.588, [-0.04, 0.02]),
            _segment("amount_band", "10 to 100", 28_000, 201, 0.731, [0.002, 0.05]),
            _segment("amount_band", "100 and more", 8_210, 150, 0.803, [-0.061, -0.004]),
        ],
        "weeks": [_week(place) for place in range(5)],
        "search": {
            "candidates": 12, "rounds": 3, "chosen": {"leaves": 8, "learning_rate": 0.05, "l2": 10.0},
            "table": [
                {"leaves": 8, "learning_rate": 0.05, "l2": 10.0, "average_precision": 0.731, "round": 3},
                {"leaves": 6, "learning_rate": 0.04, "l2": 20.0, "average_precision": 0.728, "round": 3},
            ],
        },
        "weighting": {"chosen": 1.0, "tried": [_weight(1.0, 0.71), _weight(10.2, 0.705)]},
        "dropped_features": ["ip_new", "card_velocity_30d_count"],
        "anomaly": {"average_precision": 0.081, "roc_auc": 0.811},
        "latency": {"one_row_ms": 0.231, "row_us_at_256": 24.8, "explain_ms": 0.41},
        "leakage": {
            "features_checked": 96, "labels_too_early": 0,
            "alone": [_alone("customer_velocity_1h_count", 0.871, 0.22, own=False), _alone("amount", 0.802, 0.14, own=True)],
        },
        "features": {"used": 88, "catalogue": 96},
    }  # fmt: skip
    return {**report, **changes}


def a_lineage() -> dict[str, Any]:
    return {
        "catalogue_version": 2,
        "code_version": "1.1.0",
        "dataset_sha256": "9f2c4b7e0d1a",
        "labels": {
            "until": "2026-11-20T00:00:00Z",
            "by_source": {"analyst": 310, "chargeback": 1_204, "import": 88_000},
        },
        "slices": {"train": {"payments": 160_000, "frauds": 1_490, "until": "2026-10-21T00:00:00Z"}},
        "libraries": {"scikit-learn": "1.9.1", "numpy": "2.4.6"},
    }


_POINT = ("threshold", "cost", "alerts", "fraud_value_caught")


def _cost(threshold: float) -> list[float]:
    caught = 9_400_000 / (1 + threshold**0.9 / 0.12)
    alerts = min(48_210.0, 20 / threshold)
    return [threshold, 9_400_000 - caught + alerts * 300, alerts, caught]


def _segment(
    by: str, name: str, payments: int, frauds: int, precision: float | None, gain: list[float] | None
) -> dict[str, Any]:
    known = None if precision is None else 1.02
    return {
        "by": by, "name": name, "payments": payments, "frauds": frauds, "average_precision": precision,
        "calibration_ratio": known, "recall_at_review": 0.75, "gain": gain,
    }  # fmt: skip


def _weight(weight: float, recall: float) -> dict[str, float]:
    return {"fraud_weight": weight, "average_precision": 0.73, "recall_at_review": recall}


def _alone(name: str, auc: float, share: float, *, own: bool) -> dict[str, Any]:
    return {"name": name, "roc_auc": auc, "share": share, "recall_when_pure": 0.12, "own": own}


def _week(place: int) -> dict[str, Any]:
    return {
        "from": f"2026-10-{5 + 5 * place:02d}T00:00:00Z", "until": f"2026-10-{10 + 5 * place:02d}T00:00:00Z",
        "payments": 9_600 + place, "frauds": 80 + place, "average_precision": 0.71 + 0.02 * math.sin(place),
        "roc_auc": 0.95, "card_precision_100": 0.3 + 0.01 * place, "calibration_ratio": 1.0 + 0.02 * place, "brier": 0.0024,
    }  # fmt: skip


def a_watch(**changes: Any) -> dict[str, Any]:
    """Figures of a look at the champion, made up."""
    said = [
        {"label": "fraud", "payments": 40, "confirmed": 37, "share": 0.925, "interval": [0.8, 0.97]},
        {"label": "legitimate", "payments": 0, "confirmed": 0, "share": None, "interval": None},
    ]
    figures: dict[str, Any] = {
        "payments": 9_800,
        "drift": [
            _moved("customer_velocity_1h_count", 0.41, moved=True),
            *(_moved(f"feature_{place}", 0.02, moved=False) for place in range(14)),
        ],
        "score": {key: value for key, value in _moved("", 0.31, moved=True).items() if key != "feature"},
        "labels": {
            "curve": [[1, 0.2], [7, 0.7], [28, 1.0]], "frauds": 180, "half_days": 3.5, "old_enough_days": 21.0, "measured": True,
        },
        "precision": {
            "from": "2026-10-01T00:00:00Z", "until": "2026-11-01T00:00:00Z",
            "all": _alerts(120, 60), "by_reason": [{"reason": "novelty", **_alerts(90, 50)}, {"reason": "rules", **_alerts(30, 10)}],
            "agreement": {"payments": 40, "agreed": 37, "share": 0.925, "interval": [0.8, 0.97], "said": said},
        },
        "performance": {
            "training": {
                "fraud_rate": 0.0085, "average_precision": 0.742, "interval": [0.7, 0.78],
                "precision": 0.41, "precision_interval": [0.37, 0.46],
            },
            "recent": _live(0, 0.61), "weeks": [_live(place, 0.7 - 0.03 * place) for place in range(4)],
            "decayed": True, "since": "2026-10-19T00:00:00Z",
        },
        "notes": [],
    }  # fmt: skip
    return {**figures, **changes}


def a_proposal(**changes: Any) -> dict[str, Any]:
    reasons = [
        {"code": "score_drift", "text": "the scores have moved: PSI 0.31 since 2026-11-02"},
        {"code": "feature_drift", "text": "features the model leans on have moved: customer_velocity_1h_count; amount is still"},
    ]  # fmt: skip
    return {"reasons": reasons, "training": None, "held_back": None, **changes}


def _moved(name: str, psi: float, *, moved: bool) -> dict[str, Any]:
    return {
        "feature": name, "psi": psi, "ks": 0.12, "p": 0.0001, "share_unknown_before": 0.01, "share_unknown_now": 0.02,
        "moved": moved, "since": "2026-11-02" if moved else None,
    }  # fmt: skip


def _alerts(labelled: int, frauds: int) -> dict[str, Any]:
    return {
        "alerts": labelled + 20, "labelled": labelled - 7, "presumed": 7, "frauds": frauds, "precision": frauds / labelled,
        "interval": [0.3, 0.6],
    }  # fmt: skip


def _live(place: int, precision: float) -> dict[str, Any]:
    return {
        "from": f"2026-10-{5 + 7 * place:02d}T00:00:00Z", "until": f"2026-10-{12 + 6 * place:02d}T00:00:00Z",
        "payments": 2_300, "frauds": 30, "fraud_rate": 0.013, "average_precision": precision,
        "interval": [precision - 0.05, precision + 0.04], "calibration_ratio": 1.1, "alerts": 60,
        "precision": 0.4, "precision_interval": [0.3, 0.5],
    }  # fmt: skip
