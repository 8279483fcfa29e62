"""Drive the public API with a file of payments, in the order and at the times the payments happened."""

from backend.replay.mapping import parse_map
from backend.replay.options import HELP, ReplayOptions, parse_duration, parse_moment
from backend.replay.report import ReplayReport
from backend.replay.running import replay

__all__ = ["HELP", "ReplayOptions", "ReplayReport", "parse_duration", "parse_map", "parse_moment", "replay"]
