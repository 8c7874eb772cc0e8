"""Grid zones and their chains of providers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from carbonsched.config.base import Section, cross_check, option
from carbonsched.config.providers import ProviderConfig
from carbonsched.config.quantities import Name
from carbonsched.model.intensity import SeriesInfo

_MEANING = ("kind", "basis", "gas", "scope")


class ZoneConfig(Section):
    """One grid zone and its providers, asked in order until one answers."""

    name: Name = option("The zone's name, as clusters name it.", example="DE")
    providers: tuple[ProviderConfig, ...] = option(
        "The providers of average intensity, the best first, all of one meaning; a static value"
        " only as the last, and no provider twice.",
        example=None,
        min_length=1,
    )
    ranking: tuple[ProviderConfig, ...] = option(
        "Providers, perhaps of marginal intensity, by which starts are compared; what jobs are"
        " charged never rests on them. Empty: starts are compared by providers.",
        example=None,
        default=(),
    )

    forecast: Literal["own", "provider"] = option(
        "Whose forecast goes first where there are both: carbonsched's own, which is made from the"
        " archive and the provider's, or the provider's as it comes.",
        example="own",
        default="own",
    )

    @model_validator(mode="after")
    def _static_is_the_last_resort(self) -> Self:
        for index, provider in enumerate(self.providers[:-1]):
            if provider.kind == "static":
                raise cross_check(
                    f"providers.{index}", "a static value answers always; put it last"
                )
        for index, provider in enumerate(self.ranking):
            if provider.kind == "static":
                words = "a static value cannot tell one hour from another; leave it out"
                raise cross_check(f"ranking.{index}", words)
        return self

    @model_validator(mode="after")
    def _charges_are_average(self) -> Self:
        for index, provider in enumerate(self.providers):
            if provider.series_info(self.name).kind == "marginal":
                words = "marginal intensity charges no job; put it under the zone's ranking"
                raise cross_check(f"providers.{index}", words)
        return self

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        """Figures of different meanings cannot be added up, nor compared."""
        for key, chain in (("providers", self.providers), ("ranking", self.ranking)):
            for index, words in self._differences(key, chain):
                raise cross_check(f"{key}.{index}", words)
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        """What is archived is found by provider and meaning, so one chain has a provider once."""
        for key, chain in (("providers", self.providers), ("ranking", self.ranking)):
            for index, provider in enumerate(chain):
                for before, other in enumerate(chain[:index]):
                    if self._source(provider) == self._source(other):
                        raise self._twice(f"{key}.{index}", provider, f"{key}[{before}]", other)
        for index, provider in enumerate(self.ranking):
            for before, other in enumerate(self.providers):
                if self._source(provider) == self._source(other) and provider != other:
                    raise self._twice(f"ranking.{index}", provider, f"providers[{before}]", other)
        return self

    def _source(self, provider: ProviderConfig) -> SeriesInfo:
        return replace(provider.series_info(self.name), note="")

    def _twice(
        self, key: str, provider: ProviderConfig, where: str, other: ProviderConfig
    ) -> PydanticCustomError:
        name = self._source(other).provider
        remedy = "keep one of them, or make the other a zone of its own"
        if "file" in {provider.kind, other.kind}:
            remedy = "give the file a provider of its own name"
        return cross_check(
            key,
            f"zone {self.name} has {name} here and in {where}, and what they tell could not be"
            f" told apart; {remedy}",
        )

    def _differences(self, key: str, chain: Sequence[ProviderConfig]) -> Iterator[tuple[int, str]]:
        infos = [provider.series_info(self.name) for provider in chain]
        for index, info in enumerate(infos):
            for word in _MEANING:
                ours, theirs = getattr(info, word), getattr(infos[0], word)
                if ours != theirs:
                    words = f"the figures of {chain[index].kind} are {ours} and those of"
                    others = f"{chain[0].kind}, {key}[0], are {theirs}"
                    yield index, f"{words} {others}; one chain keeps to one meaning"
