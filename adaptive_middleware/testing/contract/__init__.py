"""The contract of adapters as a suite: every promise is a function that asks an adapter over real HTTP.

    @pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
    def test_my_adapter_keeps_the_promise(promise: Promise) -> None:
        with fake_openai() as server:
            promise(my_adapter, server)

`my_adapter(url, config)` opens a client: see `Client`. Needs jsonschema, starlette and
uvicorn, and no test framework.
"""

from __future__ import annotations

from adaptive_middleware.testing.contract import calling, failing, passing, sampling
from adaptive_middleware.testing.contract.client import Adapter, Answer, Client, Json, Promise

__all__ = ["PROMISES", "Adapter", "Answer", "Client", "Json", "Promise"]

PROMISES: tuple[Promise, ...] = (
    passing.a_call_passed_on_is_the_frameworks_own_byte_for_byte,
    passing.a_call_passed_on_has_no_report,
    passing.a_stream_passed_on_comes_in_the_providers_pieces,
    passing.bad_answers_passed_on_are_as_the_framework_takes_them,
    passing.an_empty_stream_passed_on_is_as_the_framework_takes_it,
    passing.asynchronous_calls_passed_on_are_the_same,
    sampling.three_are_drawn_and_the_majority_wins,
    sampling.usage_is_the_sum_of_all_samples,
    sampling.every_parameter_reaches_every_sample,
    sampling.samples_are_never_cached,
    sampling.the_report_says_what_was_decided,
    sampling.awaited_calls_are_decided_as_blocking_ones,
    sampling.a_stream_shows_only_the_winner,
    calling.a_tool_loop_goes_on,
    calling.only_the_winners_call_is_returned,
    calling.a_call_that_cannot_be_read_never_wins,
    calling.a_call_that_can_run_beats_two_that_cannot,
    calling.bad_answers_only_are_as_the_framework_takes_them,
    calling.an_abstention_is_seen,
    calling.nothing_said_is_no_crash,
    failing.a_refused_call_raises_the_frameworks_own_error,
    failing.a_refused_stream_raises_the_frameworks_own_error,
    failing.one_failed_sample_of_three_fails_nothing,
    failing.a_blocking_call_works_inside_a_running_loop,
    failing.one_client_serves_event_loops_in_turn,
    failing.a_cancelled_call_leaves_the_provider_alone,
)
"""All promises of an adapter, those at one sample first."""
