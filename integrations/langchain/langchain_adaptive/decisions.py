"""A decision model of LangChain (langchain-core 1.8 or later): questions answered with calibrated probabilities of success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self

from langchain_core.decisions import (
    BaseDecisionModel,
    Choice,
    ChoiceAnswer,
    ClassifierResponse,
    Noul,
    NoulAnswer,
    Question,
    State,
)
from langchain_core.messages import UsageMetadata
from pydantic import ConfigDict, Field, PrivateAttr, SkipValidation

from adaptive_middleware.config import Config, load
from adaptive_middleware.config.build_scorer import calibrator_of, scorer_id, scorer_of
from adaptive_middleware.engine import checked_scores
from adaptive_middleware.errors import NotAnswerable
from adaptive_middleware.ports import Calibrator, Scorer
from adaptive_middleware.types import Estimate, StepScores
from adaptive_middleware.worker import Worker
from langchain_adaptive.asked import Asked, Plan, Right
from langchain_adaptive.choices import read_criteria
from langchain_adaptive.judged import judged

IS_RIGHT = "Is this answer right?"
WILL_BE_RIGHT = "Will the answer to this be right?"


class AdaptiveDecisionModel(BaseDecisionModel):
    """A calibrated process reward model as a decision model: it says how likely an answer is right, and nothing else.

    A `Noul` is answered with the calibrated probability that the answer at the end of the state is right or, where the
    state is a question alone, that one answer to it will be. The model does not read instructions: they must be one of
    `wordings`, so declare yours there if it means the same. A `Choice` picks the right one of several answers, each
    written `{"answer": text}`, or a route by `{"at_least": chance of success}`. Any other question is refused with
    `NotAnswerable`, and scores that cannot be used raise `ScorerError`. `usage` counts the tokens that were scored.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: str = "process reward model"
    scorer: SkipValidation[Scorer] = Field(exclude=True, repr=False)
    calibrate: SkipValidation[Calibrator] = Field(exclude=True, repr=False)
    wordings: tuple[str, ...] = (IS_RIGHT, WILL_BE_RIGHT)
    _worker: Worker = PrivateAttr()

    @classmethod
    def from_config(
        cls, source: str | PathLike[str] | Mapping[str, object], *, wordings: Sequence[str] = ()
    ) -> Self:
        """The `prm` and the `calibration` of a configuration; `wordings` are added to those that are understood.

        Raises `ConfigError` as `Middleware.from_config`, and for a configuration without a calibration: raw scores
        are no probabilities.
        """
        config = load(source)
        _refuse_uncalibrated(config)
        scorer = scorer_of(config)
        calibrate, name = calibrator_of(config, scorer), scorer_id(config, scorer)
        understood = (IS_RIGHT, WILL_BE_RIGHT, *wordings)
        return cls(model=name, scorer=scorer, calibrate=calibrate, wordings=understood)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - the framework's signature
        """Scoring goes through one worker thread, unless the scorer takes calls from any."""
        super().model_post_init(context)
        self._worker = Worker(self.scorer, None)

    @property
    def _provider(self) -> str:
        return "adaptive-middleware"

    def _classify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        asked = self._asked(state, questions)
        return self._response(asked, self._worker.score(asked.request, asked.paths))

    async def _aclassify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        asked = self._asked(state, questions)
        return self._response(asked, await self._worker.ascore(asked.request, asked.paths))

    def _asked(self, state: State, questions: Mapping[str, Question]) -> Asked:
        plans = {name: self._plan(name, question) for name, question in questions.items()}
        return Asked.of(judged(state), plans)

    def _plan(self, name: str, question: Question) -> Plan:
        match question:
            case Noul(instructions=str(words), criteria=None) if words in self.wordings:
                return Right()
            case Choice(criteria=criteria):
                return read_criteria(criteria)
            case Noul():
                known = " or ".join(repr(wording) for wording in self.wordings)
                message = (
                    f"question {name!r} is not one that a process reward model answers: it reads neither instructions nor criteria, "
                    f"and says how likely an answer is right. Ask {known} without criteria, or add your words to `wordings` if "
                    "they mean the same"
                )
            case _:
                message = (
                    f"question {name!r} is a {type(question).__name__}: a process reward model answers Noul ({IS_RIGHT!r}) and Choice "
                    "(between answers, or between routes); ask another decision model for the rest"
                )
        raise NotAnswerable(message)

    def _response(self, asked: Asked, scores: Sequence[StepScores]) -> ClassifierResponse:
        checked = checked_scores(asked.paths, scores)
        estimates = asked.estimates(checked, self.calibrate)
        answers = {name: _answer(plan, asked.of_plan(plan, estimates)) for name, plan in asked.plans.items()}
        tokens = sum(one.tokens for one in checked)
        usage = UsageMetadata(input_tokens=tokens, output_tokens=0, total_tokens=tokens)
        return ClassifierResponse(model=self.model, answers=answers, usage=usage)


def _answer(plan: Plan, estimates: Sequence[Estimate]) -> NoulAnswer | ChoiceAnswer:
    if isinstance(plan, Right):
        return NoulAnswer(type="noul", noul=plan.choose(estimates))
    chosen = plan.choose(estimates)
    return ChoiceAnswer(
        type="choice",
        choice=chosen.label,
        probabilities=dict(chosen.probabilities),
        confidence=chosen.confidence,
    )


def _refuse_uncalibrated(config: Config) -> None:
    if config.settings.prm is None:
        message = "there is no prm, but a decision model answers from its scores: name one, such as prm: {kind: lab}"
        raise config.refused((), message)
    if config.settings.calibration in {None, "none"}:
        message = (
            "there is no calibration, but a decision model gives probabilities, and raw scores are none: "
            "name a bundle (adaptive-middleware calibrate makes one), or 'lab' for the embedded model"
        )
        raise config.refused(("calibration",), message)
