"""Doctor: whether this machine and a configuration can do what is asked of them, and what to do where they cannot."""

from adaptive_middleware.doctor.examine import examine
from adaptive_middleware.doctor.finding import Finding, Status, worst

__all__ = ["Finding", "Status", "examine", "worst"]
