"""Pricing of metered energy, monthly periods, budgets and the figures of a statement. Pure."""

from carbonsched.accounting.car import CAR, CarFactor, car_km
from carbonsched.accounting.charges import (
    PricedSegment,
    charge_delta,
    job_charge,
    price_segment,
    saved_mg,
    segment_mg,
)
from carbonsched.accounting.coverage import covered_in_full, quality_of
from carbonsched.accounting.embodied import Embodied, EmbodiedNodes
from carbonsched.accounting.periods import current_period, period, periods_between
from carbonsched.accounting.quotas import Admission, Budgets, admit, subjects_of
from carbonsched.accounting.statement import StatementFigures, statement

__all__ = [
    "CAR",
    "Admission",
    "Budgets",
    "CarFactor",
    "Embodied",
    "EmbodiedNodes",
    "PricedSegment",
    "StatementFigures",
    "admit",
    "car_km",
    "charge_delta",
    "covered_in_full",
    "current_period",
    "job_charge",
    "period",
    "periods_between",
    "price_segment",
    "quality_of",
    "saved_mg",
    "segment_mg",
    "statement",
    "subjects_of",
]
