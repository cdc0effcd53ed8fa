"""What a genome would measure, predicted from those that were measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from chiasm.elastic.space import Genome, Space
from chiasm.errors import Misuse


class Predictor:
    """Of one objective: ridge regression or an RBF support-vector regression on one-hot genomes,
    whichever has the lower cross-validated mean absolute percentage error.
    """

    def __init__(self, space: Space, genomes: Sequence[Genome], values: Sequence[float]) -> None:
        if len(genomes) < 2:
            raise Misuse(f"{len(genomes)} measurements teach no predictor; give at least 2")
        self.space = space
        x, y = space.one_hot(genomes), np.asarray(values, dtype=float)
        self.errors = {name: _error(model, x, y) for name, model in _candidates().items()}
        """Cross-validated MAPE by kind."""
        self.kind = min(self.errors, key=lambda name: self.errors[name])
        self.model = _candidates()[self.kind].fit(x, y)

    def __call__(self, genomes: Sequence[Genome]) -> Float[np.ndarray, " genome"]:
        return self.model.predict(self.space.one_hot(genomes))


def _candidates() -> dict[str, Any]:
    try:
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.linear_model import RidgeCV
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVR
    except ImportError:
        raise Misuse(
            "predictors need scikit-learn; install it with: pip install 'chiasm[tune]'"
        ) from None
    # Objectives differ by orders of magnitude, the regression's margin is one number.
    svr = TransformedTargetRegressor(SVR(kernel="rbf", C=10.0), transformer=StandardScaler())
    return {"ridge": RidgeCV(alphas=np.logspace(-3, 3, 13)), "svr": svr}


def _error(model: Any, x: Any, y: Any) -> float:
    """|predicted - true| / |true|, a mean over held-out folds in the given order."""
    from sklearn.metrics import mean_absolute_percentage_error
    from sklearn.model_selection import KFold, cross_val_predict

    folds = KFold(min(5, len(y)))
    return float(mean_absolute_percentage_error(y, cross_val_predict(model, x, y, cv=folds)))
