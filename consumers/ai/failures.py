"""How a model fails. The images are not at fault: the same again may go well, so the step tries again."""

from __future__ import annotations


class ModelFailed(Exception):
    """The model, not the images, is at fault: the same again may go well. The text has no patient data."""

    code = "model_failed"


class ModelAway(ModelFailed):
    """The server of the model does not answer."""

    code = "model_away"


class ModelSlow(ModelFailed):
    """It gave no answer in its time."""

    code = "model_slow"


class OutOfMemory(ModelFailed):
    """The backend had no memory for this request."""

    code = "out_of_memory"


class WrongShape(ModelFailed):
    """The model takes, or gives, another shape or type than its card says."""

    code = "wrong_shape"


class KeptUnreadable(ModelFailed):
    """What the store keeps under the name of the result is none: a disk's fault, and no model's."""

    code = "kept_unreadable"
