"""Purposes that most who train models have, with their addresses in the W3C's DPV 2.3.

Pure. The DPV has no purpose "to train a model": training is an operation there, and what is
done it for is for the organisation to say, in a purpose of its own below one of these. So what
stands under ``ai`` has the address of the operation or the stage that is meant.
"""

from dataclasses import dataclass
from typing import Final

DPV: Final = "https://w3id.org/dpv#"
AI: Final = "https://w3id.org/dpv/ai#"


@dataclass(frozen=True, slots=True)
class StandardPurpose:
    """One of them; ``parent`` is the key of what it is part of, which stands before it."""

    key: str
    title: str
    dpv_iri: str
    parent: str = ""


STANDARD: Final = (
    StandardPurpose("ai", "Making AI models", f"{AI}DataOperation"),
    StandardPurpose("ai-training", "Training AI models", f"{AI}ModelTraining", "ai"),
    StandardPurpose(
        "ai-fine-tuning", "Fine-tuning AI models that exist", f"{AI}ModelFineTuning", "ai-training"
    ),
    StandardPurpose("ai-evaluation", "Evaluating AI models", f"{AI}ValidationStage", "ai"),
    StandardPurpose("personalisation", "Personalisation", f"{DPV}Personalisation"),
    StandardPurpose("research", "Research and development", f"{DPV}ResearchAndDevelopment"),
)
