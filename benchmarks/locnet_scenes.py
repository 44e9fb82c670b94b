"""Train the LocNet that ships in the package, on generated scenes, as a hybrid.

Run: python benchmarks/locnet_scenes.py --out models/locnet.snn [--resume]
The ANN is kept as Keras .h5 beside it too, for `snn-deploy build --model`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from snn_deploy.cotraining import cotrain
from snn_deploy.models.data.generated.scenes import scene_data
from snn_deploy.models.training.train_locnet import Recipe, train
from snn_deploy.models.training.trainer import progress_bar
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.frontends.keras.keras import read_keras
from snn_deploy.tuning import Choices

SCENES, SEED = 3000, 1  # `build` shows scenes of seed 0: none that trained or chose
RECIPE = Recipe(size=(32, 48, 1), epochs=50, batch=64)
CHOICES = Choices(adapt_epochs=70, epochs=24, batch=32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    keras = given.out.with_suffix(".h5")
    command = "python benchmarks/locnet_scenes.py --out models/locnet.snn"
    with progress_bar(RECIPE.epochs) as progress:
        metadata = train(
            scene_data(SCENES, SEED, RECIPE.size),
            keras,
            RECIPE,
            resume=given.resume,
            progress=progress,
            command=command,
        )
    kept = {key: value for key, value in metadata.items() if key != "split"}
    kept["data"] = f"{SCENES} generated scenes of seed {SEED}"
    trained = given.out.with_suffix(".ann.snn")
    save_bundle(trained, Bundle(graph=read_keras(keras), metadata=kept))
    begun = any(given.out.parent.glob(f"{given.out.name}.*.npz"))
    tuned = cotrain(trained, None, given.out, CHOICES, resume=given.resume and begun)
    scores = metadata["scores"] | tuned["finetuned"]["validation"]
    print(json.dumps(scores, indent=2))


if __name__ == "__main__":
    main()
