import json
import math
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from restore.cli.app import app
from restore.errors import InputError
from restore.noise import seeded_generator
from restore.prior.models import CARD, WEIGHTS, load_prior, open_model
from restore.training.export import export_model
from restore.training.objectives.weightings import WEIGHTINGS
from restore.training.recipe import LEAST_LEVEL, Recipe
from restore.training.trainer import (
    Trainer,
    ema_exponent,
    level_density,
    noise_levels,
    rate_factor,
)

CPU = torch.device("cpu")


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return trainer.averaged_network().state_dict()


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(recipe, pictures, tmp_path):
    whole = Trainer(recipe, pictures, tmp_path / "whole", CPU)
    whole.run()

    half = Trainer(recipe, pictures, tmp_path / "half", CPU)
    for _ in range(5):
        half._train_step()
        half.step += 1
    half._save("checkpoint.pt")
    again = Trainer(recipe, pictures, tmp_path / "half", CPU)
    assert again.step == 5
    again.run()
    assert_same(weights(whole), weights(again))


def test_more_steps_go_on_from_before_the_decay(recipe, pictures, tmp_path):
    Trainer(recipe, pictures, tmp_path / "run", CPU).run()
    longer = recipe.model_copy(update={"steps": 20})
    extended = Trainer(longer, pictures, tmp_path / "run", CPU)
    assert extended.step == 9  # 12 steps, of which the last quarter decays
    extended.run()
    straight = Trainer(longer, pictures, tmp_path / "straight", CPU)
    straight.run()
    assert_same(weights(straight), weights(extended))


def test_another_recipe_in_the_same_folder_is_refused(recipe, pictures, tmp_path):
    Trainer(recipe, pictures, tmp_path / "run", CPU).run()
    with pytest.raises(InputError, match=r"another recipe \(batch_size 4 → 8\)"):
        Trainer(recipe.model_copy(update={"batch_size": 8}), pictures, tmp_path / "run", CPU)


@pytest.mark.parametrize(("stopped", "steps", "least"), [(12, 11, 12), (12, 5, 12), (7, 8, 9)])
def test_a_length_without_its_whole_decay_is_refused(
    recipe, pictures, tmp_path, stopped, steps, least
):
    run = Trainer(recipe, pictures, tmp_path / "run", CPU)
    while run.step < stopped:
        if run.step == recipe.decay_start:
            run._save("trunk.pt")
        run._train_step()
        run.step += 1
    run._save("checkpoint.pt")
    with pytest.raises(InputError, match=rf"expected --steps {least} or more, found {steps}"):
        Trainer(recipe.model_copy(update={"steps": steps}), pictures, tmp_path / "run", CPU)
    shortest = recipe.model_copy(update={"steps": least})
    resumed = Trainer(shortest, pictures, tmp_path / "run", CPU)
    resumed.run()
    straight = Trainer(shortest, pictures, tmp_path / "straight", CPU)
    straight.run()
    assert_same(weights(straight), weights(resumed))


@pytest.mark.parametrize("content", ["cut", "empty", "another"])
def test_a_damaged_checkpoint_is_one_line(recipe, pictures, tmp_path, content):
    Trainer(recipe, pictures, tmp_path / "run", CPU).run()
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    if content == "another":
        torch.save({"step": 3}, checkpoint)
    else:
        checkpoint.write_bytes(checkpoint.read_bytes()[: 1000 if content == "cut" else 0])
    with pytest.raises(InputError, match=r"checkpoint.pt: missing, cut or damaged, expected the"):
        Trainer(recipe, pictures, tmp_path / "run", CPU)


def test_every_seed_of_32_bits_trains_and_no_other_is_taken(recipe, pictures, tmp_path):
    largest = recipe.model_copy(update={"seed": 2**32 - 1, "steps": 1})
    Trainer(largest, pictures, tmp_path / "run", CPU).run()
    done = CliRunner().invoke(
        app, ["train", str(pictures), "-o", str(tmp_path / "other"), "--seed", str(2**32)]
    )
    assert done.exit_code == 2
    assert done.stderr == "recipe: seed: Input should be less than 4294967296\n"


def test_a_run_that_goes_on_keeps_what_its_card_says(pictures, tmp_path):
    def card(steps, *options):
        recipe, run = tmp_path / "recipe.json", tmp_path / "run"
        content = {"widths": [8], "blocks": [1], "batch_size": 1, "patch": 16, "steps": steps}
        recipe.write_text(json.dumps(content))
        command = ["train", str(pictures), "-o", str(run), "--recipe", str(recipe), *options]
        assert CliRunner().invoke(app, command).exit_code == 0
        said = json.loads((run / "card.json").read_text())
        return {name: said[name] for name in ("domain", "licence", "training_data")}

    plain = card(1)
    assert (plain["domain"], plain["licence"]) == ("photo", "not stated")
    said = card(2, "--domain", "leaves", "--licence", "CC0", "--training-data", "my garden")
    assert said == {"domain": "leaves", "licence": "CC0", "training_data": "my garden"}
    assert card(3) == said
    assert card(4, "--licence", "MIT") == said | {"licence": "MIT"}


def test_a_run_takes_another_name_and_keeps_it(pictures, tmp_path):
    """No number depends on the name, so the run is the same."""
    run, recipe = tmp_path / "run", tmp_path / "recipe.json"
    recipe.write_text('{"widths": [8], "blocks": [1], "batch_size": 1, "patch": 16, "steps": 1}')
    for options, name in (
        (["--recipe", str(recipe)], "photo"),
        (["--name", "mine"], "mine"),
        (["--steps", "2"], "mine"),
    ):
        command = ["train", str(pictures), "-o", str(run), *options]
        assert CliRunner().invoke(app, command).exit_code == 0
        assert json.loads((run / "card.json").read_text())["name"] == name


def test_a_file_is_no_folder_for_a_model(pictures, tmp_path):
    (tmp_path / "model").write_text("of something else")
    done = CliRunner().invoke(app, ["train", str(pictures), "-o", str(tmp_path / "model")])
    assert done.exit_code == 2
    assert done.stderr == f"{tmp_path}/model: is a file, expected a folder for the model\n"


def test_a_killed_command_resumes(pictures, tmp_path):
    """kill -9 in the middle, then the same command again: it ends, and the model loads."""
    run, recipe_file = tmp_path / "run", tmp_path / "recipe.json"
    recipe_file.write_text(
        '{"widths": [8, 8], "blocks": [1, 1], "batch_size": 2, "patch": 16, "steps": 3000}'
    )
    command = [
        sys.executable, "-c", "from restore.cli.main import main; main()",
        "train", str(pictures), "-o", str(run), "--recipe", str(recipe_file), "--quiet",
        "--checkpoint-seconds", "0.2",
    ]  # fmt: skip
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not (run / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    stood_at = torch.load(run / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < stood_at < 3000
    recipe_file.write_text(recipe_file.read_text().replace("3000", str(2 * stood_at + 20)))
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_prior(run)(torch.rand(1, 3, 9, 9), 0.1).shape == (1, 3, 9, 9)


def test_files_are_utf8_whatever_the_locale(pictures, tmp_path):
    """The C locale stands for any whose encoding is another one, as on Windows."""
    run, recipe_file = tmp_path / "run", tmp_path / "recipe.json"
    recipe_file.write_text(
        '{"name": "Fläche", "widths": [8], "blocks": [1], "batch_size": 1, "patch": 16,'
        ' "steps": 1}',
        encoding="utf-8",
    )
    command = ["train", pictures, "-o", run, "--recipe", recipe_file, "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "restore", *command],
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Recipe.load(run / "recipe.json").name == "Fläche"
    assert open_model(run).card.name == "Fläche"


def test_training_learns(recipe, pictures, tmp_path):
    """300 steps of the tiny network beat the best pointwise shrinkage at every level, in dB."""
    longer = recipe.model_copy(update={"steps": 300, "batch_size": 8})
    trainer = Trainer(longer, pictures, tmp_path / "run", CPU)
    trainer.run()
    psnr = trainer.validate()
    for level, gain in {15: 0.4, 25: 1.0, 50: 2.5}.items():
        shrunk = 1 / ((255 / level) ** 2 + 1 / recipe.data_std**2)
        assert psnr[level] > -10 * math.log10(shrunk) + gain


def test_the_exported_model_is_the_trained_one(recipe, pictures, tmp_path):
    trainer = Trainer(recipe, pictures, tmp_path / "run", CPU)
    trainer.run()
    card = export_model(
        trainer, tmp_path / "model", domain="test", training_data="six pictures", licence="none"
    )
    assert (card.sigma_min, card.sigma_max) == (0.002, recipe.tail_range[1])
    assert card.recipe["steps"] == 12
    x, sigma = torch.rand(1, 3, 16, 16), torch.full((1, 1, 1, 1), 0.1)
    expected = trainer._denoise(trainer.averaged_network(), x, sigma)
    torch.testing.assert_close(load_prior(tmp_path / "model")(x, 0.1), expected, atol=2e-3, rtol=0)


def test_the_exported_weights_are_as_private_as_any_file(recipe, pictures, tmp_path):
    trainer = Trainer(recipe, pictures, tmp_path / "run", CPU)
    before = os.umask(0o027)
    try:
        export_model(trainer, tmp_path, domain="test", training_data="six", licence="none")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode for path in map(tmp_path.joinpath, (WEIGHTS, CARD))}
    assert {stat.S_IMODE(mode) for mode in modes} == {0o640}


def test_noise_levels_are_stratified(recipe):
    """A batch of 1000: each tenth of the distribution has its share, to one stratum."""
    wide = recipe.model_copy(update={"batch_size": 1000})
    sigma = noise_levels(wide, torch.Generator().manual_seed(0))
    body = sigma[(sigma < recipe.sigma_median)].numel()
    low, high = recipe.tail_range
    in_tail_below = recipe.tail * max(0, math.log(recipe.sigma_median / low)) / math.log(high / low)
    assert body == pytest.approx(1000 * ((1 - recipe.tail) / 2 + in_tail_below), abs=2)


def test_the_density_of_the_levels_is_that_of_the_draws(recipe):
    """Shares of 20,000 stratified draws in seven bands, to one in a thousand."""
    wide = recipe.model_copy(update={"batch_size": 20_000, "tail": 0.3})
    drawn = noise_levels(wide, torch.Generator().manual_seed(0)).log().sort().values
    edges = torch.tensor([0.02, 0.08, 0.2, 0.499, 0.501, 2.0, 20.0]).log()
    shares = torch.searchsorted(drawn, edges).diff() / len(drawn)
    for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True):
        middles = low + (high - low) * (torch.arange(1000) + 0.5) / 1000
        expected = level_density(wide, middles.exp()).mean() * (high - low)
        assert share.item() == pytest.approx(expected.item(), abs=1e-3)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_weighting_of_the_recipe_is_used(name, recipe, pictures, tmp_path):
    """What the F-space errors are multiplied by is w c_out², so w of the denoiser's error."""
    weighed = recipe.model_copy(update={"weighting": name, "steps": 2})
    trainer = Trainer(weighed, pictures, tmp_path / "run", CPU)
    sigma = torch.tensor([0.01, 0.1, 1.0])
    c_out = sigma * recipe.data_std / (sigma**2 + recipe.data_std**2).sqrt()
    expected = {
        "uniform": c_out**2,
        "variance": sigma**2 * c_out**2,
        "inverse-variance": c_out**2 / sigma**2,
        "likelihood": c_out**2 / sigma**2 / level_density(recipe, sigma),
        "edm": torch.ones(3),
        "min-snr": (1 / sigma**2).clamp(max=5 / recipe.data_std**2) * c_out**2,
    }
    torch.testing.assert_close(trainer._weights(sigma, torch.rand(3)), expected[name])
    trainer.run()
    assert all(value.isfinite().all() for value in weights(trainer).values())


def test_a_recipe_from_before_the_weightings_is_the_one_with_the_running_mean(tmp_path):
    old = tmp_path / "recipe.json"
    old.write_text('{"steps": 7}')
    assert Recipe.load(old) == Recipe(steps=7, weighting="running")


def test_the_rate_rises_stays_and_falls(recipe):
    factors = [rate_factor(recipe, step) for step in range(12)]
    assert factors[0] == 0.5
    assert factors[1:9] == [1.0] * 8
    assert factors[9:] == pytest.approx([1, 2 / 3, 1 / 3])


def test_the_exponent_of_the_average():
    """Values of Karras et al. 2024, table: relative lengths 0.05 and 0.10."""
    assert ema_exponent(0.05) == pytest.approx(16.97, abs=0.01)
    assert ema_exponent(0.10) == pytest.approx(6.94, abs=0.01)


def test_the_average_is_of_a_power_of_the_step(recipe, pictures, tmp_path):
    """Of n steps, step t has the share (t^(γ+1) − (t−1)^(γ+1)) / n^(γ+1)."""
    trainer = Trainer(recipe, pictures, tmp_path / "run", CPU)
    power, path = ema_exponent(recipe.ema) + 1, []
    trainer.on_progress = lambda _: path.append(
        {name: p.detach().double().clone() for name, p in trainer.network.named_parameters()}
    )
    trainer.run()
    n = len(path)
    assert n == recipe.steps
    for name, averaged in trainer._average.items():
        expected = sum(
            (t**power - (t - 1) ** power) / n**power * weights[name]
            for t, weights in enumerate(path, 1)
        )
        moved = (path[-1][name] - path[0][name]).abs().max()
        assert float((averaged - expected).abs().max()) < 1e-3 * float(moved) + 1e-7, name


def test_the_running_loss_of_a_level_is_a_fiftieth_of_each(recipe, pictures, tmp_path):
    trainer = Trainer(recipe, pictures, tmp_path / "run", CPU)
    sigma = torch.tensor([0.002, 0.1, 0.1001, 49.0])
    loss = torch.tensor([5.0, 0.25, 0.25, 3.0])
    assert torch.equal(trainer._level_weights(sigma, loss), torch.ones(4))
    for _ in range(9):
        weight = trainer._level_weights(sigma, loss)
    # Weights are of before their batch: nine came first, each with two samples in the one bin.
    kept = torch.tensor([0.98**9, 0.98**18, 0.98**18, 0.98**9])
    assert weight == pytest.approx(1 / (kept + (1 - kept) * loss), rel=1e-5)
    assert torch.equal(trainer._level_weights(torch.tensor([1.0]), loss[:1]), torch.ones(1))


def test_each_optimizer_has_its_rate(recipe, pictures, tmp_path):
    trainer = Trainer(recipe, pictures, tmp_path / "run", CPU)
    trainer._train_step()
    rates = [{group["lr"] for group in one.param_groups} for one in trainer._optimizers]
    assert rates == [{recipe.learning_rate / 2}, {recipe.adam_rate / 2}]


def test_gradients_are_clipped(recipe, pictures, tmp_path):
    trainer = Trainer(recipe.model_copy(update={"clip": 1e-6}), pictures, tmp_path / "run", CPU)
    trainer._train_step()
    gradients = [p.grad.flatten() for p in trainer.network.parameters() if p.grad is not None]
    assert float(torch.cat(gradients).norm()) == pytest.approx(1e-6, rel=1e-3)


@pytest.fixture
def levels(monkeypatch):
    """Those of each batch that is trained on."""
    drawn = []

    def keep(recipe, generator):
        drawn.append(noise_levels(recipe, generator))
        return drawn[-1]

    monkeypatch.setattr("restore.training.trainer.noise_levels", keep)
    return drawn


def test_the_noise_is_of_the_seed(recipe, pictures, tmp_path, levels):
    for seed in (0, 1, 0):
        other = recipe.model_copy(update={"seed": seed})
        Trainer(other, pictures, tmp_path / f"{len(levels)}", CPU)._train_step()
    assert torch.equal(levels[0], levels[2])
    assert not torch.equal(levels[0], levels[1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"ema": 0.3}', "ema: Input should be less than or equal to 0.28"),
        ('{"tail_range": [1e-5, 1e-3]}', "tail_range up to 0.001, expected more than 0.002"),
        ('{"decay": 2}', "decay: Input should be less than or equal to 1"),
        ('{"steps":', "Invalid JSON"),
        ('{"step": 3}', "step: Extra inputs are not permitted"),
    ],
)
@pytest.mark.parametrize("of_the_run", [False, True])
def test_a_bad_recipe_is_one_line(pictures, tmp_path, content, said, of_the_run):
    """The one that is given, or that of the run that is there, as of another version."""
    run, given = tmp_path / "run", tmp_path / "recipe.json"
    run.mkdir()
    bad = run / "checkpoint.pt" if of_the_run else given
    given.write_text('{"patch": 16}' if of_the_run else content)
    if of_the_run:
        torch.save({"step": 1, "recipe": content}, bad)
    done = CliRunner().invoke(app, ["train", str(pictures), "-o", str(run), "--recipe", str(given)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{bad}: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_weighting_is_one_line_with_the_known_ones(pictures, tmp_path):
    recipe_file = tmp_path / "recipe.json"
    recipe_file.write_text('{"weighting": "snr"}')
    command = [
        sys.executable, "-c", "from restore.cli.main import main; main()",
        "train", str(pictures), "-o", str(tmp_path / "run"), "--recipe", str(recipe_file),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "recipe.json: weighting: Input should be 'running', 'uniform', " in done.stderr


def test_bf16_trains_the_body_and_keeps_the_weights_and_the_pictures_way_in_float32(
    recipe, pictures, tmp_path
):
    half = Trainer(recipe.model_copy(update={"dtype": "bf16"}), pictures, tmp_path / "half", CPU)
    seen = {}
    network = half.network
    for name in ("stem", "down.0", "middle.0.expand", "head"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: seen.update({name: output.dtype})
        )
    half.run()
    body, way = torch.bfloat16, torch.float32
    assert seen == {"stem": way, "down.0": body, "middle.0.expand": body, "head": way}
    assert {p.dtype for p in network.parameters()} == {torch.float32}

    full = Trainer(recipe, pictures, tmp_path / "full", CPU)
    full.run()
    a, b = (torch.cat([w.flatten() for w in weights(t).values()]) for t in (half, full))
    start = torch.cat(
        [p.flatten() for p in Trainer(recipe, pictures, tmp_path / "x", CPU).network.parameters()]
    )
    learned = (b - start).norm()
    assert 0 < (a - b).norm() < 0.2 * learned


@pytest.mark.parametrize("seconds", [0.0, 60.0])  # by the weights to be saved; by the next loss
def test_a_run_that_diverges_stops_and_keeps_its_last_checkpoint(
    recipe, pictures, tmp_path, seconds
):
    trainer = Trainer(recipe, pictures, tmp_path / "run", CPU, checkpoint_seconds=seconds)
    trainer.step = 3
    trainer._save("checkpoint.pt")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    for optimizer in trainer._optimizers:
        optimizer.register_step_post_hook(
            lambda *_: trainer.network.head.weight.data.fill_(math.nan)
        )
    with pytest.raises(InputError, match=r"the loss of step [45] is nan; expected a recipe that"):
        trainer.run()
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of a process here")
@pytest.mark.parametrize(
    ("name", "largest"), [("checkpoint.pt", 20_000), ("model.safetensors", 4_000)]
)
def test_a_state_that_the_disk_has_no_room_for_is_one_line(
    recipe, pictures, tmp_path, name, largest
):
    import resource

    run = tmp_path / "run"
    trainer = Trainer(recipe, pictures, run, CPU)

    def write() -> None:
        if name == "checkpoint.pt":
            trainer._save(name)
        else:
            export_model(trainer, run, domain="test", training_data="none", licence="none")

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        with pytest.raises(InputError, match=rf"{name}: file too large, expected a place that"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("phase", [False, True])
def test_the_psnr_is_that_of_the_averaged_weights_within_the_pictures_range(
    recipe, pictures, tmp_path, phase
):
    """Beside the formula, for a denoiser that leaves noise; pictures are of 0 or −1.5 to 1.5."""
    wide = recipe.model_copy(update={"white": 1.5, "phase": phase, "data_std": 5.0})
    trainer = Trainer(wide, pictures, tmp_path / "run", CPU)
    trainer.network.head.bias.data += 1  # not what is averaged
    clean = trainer._patches.validation()[0][..., :48]  # a multiple of the network's
    low = -1.5 if phase else 0.0
    for level, psnr in trainer.validate().items():
        sigma = torch.full((1, 1, 1, 1), level / 255)
        noise = torch.randn(clean.shape, generator=seeded_generator(0))
        denoised = trainer._denoise(trainer.averaged_network(), clean + sigma * noise, sigma)
        error = (denoised.detach().clamp(low, 1.5) - clean).square().mean().item()
        assert psnr == pytest.approx(10 * math.log10(1 / error), abs=1e-4)


def test_what_is_exported_is_the_average(recipe, pictures, tmp_path):
    trainer = Trainer(recipe, pictures, tmp_path / "run", CPU)
    trainer.network.head.bias.data += 1
    export_model(trainer, tmp_path / "model", domain="", training_data="", licence="")
    exported = load_prior(tmp_path / "model").network.state_dict()
    for name, value in weights(trainer).items():
        assert torch.equal(exported[name], value.half().float()), name


def test_no_level_is_drawn_beyond_those_on_the_card(recipe):
    wide = recipe.model_copy(update={"sigma_spread": 20.0, "batch_size": 100})
    sigma = noise_levels(wide, torch.Generator().manual_seed(0))
    assert (sigma.min().item(), sigma.max().item()) == pytest.approx((LEAST_LEVEL, 50.0))


def test_each_step_has_its_own_noise(recipe, pictures, tmp_path, levels):
    Trainer(recipe.model_copy(update={"steps": 2}), pictures, tmp_path / "run", CPU).run()
    assert not torch.equal(*levels)
