"""What the presets change of the papers' settings, and why: one table, value beside reason.

`recommended` is a paper with our improvements, for a GPU with time; `small` is that, shortened for
a laptop's processor. The settings' own defaults are the paper's (`paper`).
"""

from __future__ import annotations

from collections.abc import Mapping

from napari_noisyseg.method import Departure, Departures, Preset, Value

LITTLE_TIME = "a laptop has time for few updates"
SMALLER_NET = "a processor has time only for a small network"


def because(why: str, **values: Value) -> dict[str, Departure]:
    """These settings, each for the same reason."""
    return {name: Departure(value, why) for name, value in values.items()}


# --- what all share ------------------------------------------------------------------------------

HALF_RESOLUTION = because(
    "a quarter of the pixels for a processor, and better results in the same time at 40x",
    working_mpp=0.5, tile=160, tile_overlap=80, crop=128,
)  # fmt: skip
SAME_STAINS = because(
    "trained on few images and used on others, whose stains differ",
    level_stains=True, stain_jitter=0.25,
)  # fmt: skip
SHORT = because(LITTLE_TIME, epochs=30, batch_size=8)
FAST_ADAM = because(
    "larger steps that shrink to the end, as updates are few", lr=3e-3, lr_schedule="cosine"
)
STEADY = because("the last of few updates are noisy", average_weights=0.98)
SMALL_NET = because(SMALLER_NET, width=32, encoder="1-1-1-1") | because(
    "at half the resolution nuclei are about 8 px wide: no detail to lose", stem="stride2"
)
SEEN_NUCLEI = because(
    "minutes are too few to learn from nothing what nuclei look like", first_weights="starter"
)
LAPTOP: Departures = {
    **HALF_RESOLUTION, **SAME_STAINS, **SHORT, **SMALL_NET, **FAST_ADAM, **STEADY, **SEEN_NUCLEI,
}  # fmt: skip
"""A ResUNet with Adam, as most methods have it."""


def _without(departures: Departures, *names: str) -> dict[str, Departure]:
    return {name: why for name, why in departures.items() if name not in names}


# --- SC-Net and supervised training --------------------------------------------------------------

SCNET_MENDED: Departures = {
    **because(
        "precision of its nuclei 0.896, of the paper's recipe 0.793 (decision 11)",
        cluster_recipe="mended",
    ),
    **because(
        "one pass over a field of 1000 px, without borders inside it",
        window=1024, window_overlap=160,
    ),
}  # fmt: skip
SCNET_SMALL: Departures = {
    **LAPTOP,
    **because("no time to estimate the stains of each image; levelling does part of it",
              stains="fixed"),
    **because("leaves a twentieth of the pixels unknown, the cluster label a third: more to learn "
              "from in minutes", coarse="local"),
    **because(SMALLER_NET, color_width=4, color_depth=1),
    **because("pseudo labels must form within few epochs", ema_alpha=0.5),
}  # fmt: skip
SUPERVISED_SMALL: Departures = {
    **LAPTOP,
    **because("no time to estimate the stains of each image; levelling does part of it",
              stains="fixed"),
}  # fmt: skip

# --- MMC and those it is compared with -----------------------------------------------------------

LEARNER_SMALL: Departures = {
    **_without(LAPTOP, "crop"),
    **because("a clean tile costs as much as a rough one", meta_batch_size=4),
}
WITH_CLEAN: Departures = because(
    "clean nuclei are the best labels, and there are few", train_on_clean=True, clean_tiles=1
)
META_MENDED: Departures = {
    **WITH_CLEAN,
    **because("gradients change with the schedule: a shorter memory", meta_beta2=0.99),
}
META_SMALL: Departures = {
    **LEARNER_SMALL, **META_MENDED,
    **because("few updates, so larger ones", meta_lr=3e-3),
    **because("cosine 0.9999 to the exact gradient at less cost",
              meta_gradient="difference", meta_point="present"),
    **because("the time is better used for updates of the segmentation", meta_every=3),
}  # fmt: skip
MMC_MENDED: Departures = {
    **META_MENDED,
    **because("a random C-Net's first labels are worse than the rough ones",
              identity=1.0, bootstrap=2.0, limit=2.0, warmup=0.3),
    **because("logits say what the network believes, features what it sees",
              correction_input="both"),
    **because("an accepted nucleus often has a rough mask too: a pair to learn from",
              pairs_weight=1.0),
    **because("accepted nuclei have thin margins and little background", balance=True),
}  # fmt: skip
MMC_SMALL: Departures = {
    **META_SMALL, **MMC_MENDED,
    **because("half the cost of a step, cosine 0.999 to the exact gradient",
              meta_gradient="decoder", meta_point="present"),
    **because(SMALLER_NET, correction_width=16),
}  # fmt: skip
REWEIGHTING_SMALL: Departures = {
    **LEARNER_SMALL, **WITH_CLEAN,
    **because("as exact as the paper's to 1e-3 at less cost; the decoder's part alone is not",
              meta_gradient="difference"),
}  # fmt: skip
FINETUNE_SMALL: Departures = {
    **LEARNER_SMALL,
    **because("clean tiles are the whole batch of the last part", meta_batch_size=8),
    **because("few updates: a larger share of them, and larger steps", clean_share=0.3,
              clean_lr=3e-3),
}  # fmt: skip

# --- MLB-Seg -------------------------------------------------------------------------------------

MLBSEG_MENDED: Departures = {
    **because("the published code takes this step; the paper does not mention it",
              clean_step=True),
    **because("accepted nuclei lie in the same tiles as rough ones, and Eq. 9 passes them by",
              clean_weight=1.0),
}  # fmt: skip
MLBSEG_SMALL: Departures = {
    **MLBSEG_MENDED, **SHORT, **SAME_STAINS, **SEEN_NUCLEI,
    **because("a quarter of the pixels for a processor", working_mpp=0.5, tile=128,
              tile_overlap=64, crop=96),
    **because("a clean tile costs as much as a rough one", meta_batch_size=4),
    **because("cosine 0.999 to the exact gradient at less than half the cost",
              meta_gradient="difference"),
    **because("one channel, and steadier than colours from few images", input="hematoxylin"),
    **because("each view is another pass of the network", zoom_in=0, zoom_out=1, flips=0),
    **because(SMALLER_NET, width=12, depth=3),
    **because("larger steps that shrink to the end, as updates are few", lr=0.05,
              lr_schedule="cosine"),
}  # fmt: skip

# --- superpixels and those they are compared with ------------------------------------------------

PEERS_MENDED: Departures = because(
    "two networks are trained anyway: their mean costs nothing extra", predict_by="both"
)
PEERS_SMALL: Departures = {
    **PEERS_MENDED, **_without(LAPTOP, "crop"),
    **because("the network of the other methods, so that tables compare methods", net="resunet"),
    **because("SGD with momentum 0.99 needs hundreds of epochs", optimizer="adam"),
    **because("with few updates a network must first learn the labels before it doubts them",
              warmup=0.2),
    **because("nuclei are a fifth of the pixels: without this they would be left out first",
              per_class=True),
    **because("trained on few images and used on others: networks must not learn these by heart",
              weight_decay=5e-4),
}  # fmt: skip
SUPERPIXEL_MENDED: Departures = {
    **PEERS_MENDED,
    **because("3.2 µm is half a nucleus: no outline would be right", superpixel_um=1.6),
    **because("a label that is already right must not be made worse", sure_only=True,
              cut_by_label=True),
}  # fmt: skip
SUPERPIXEL_SMALL: Departures = {
    **PEERS_SMALL, **SUPERPIXEL_MENDED,
    **because("of nuclei the outlines are hardest: selection would leave out what matters "
              "(decision 42)", select=False),
    **because(LITTLE_TIME, patience=2, round_share=0.15, most_rounds=2, warmup=0.4),
    **because("with few updates agreement would outweigh the label", balance=0.1),
    **because("no epochs to spare for going back or stopping", return_to_peak=False,
              stop_when_settled=False),
}  # fmt: skip

# --- iGTT ----------------------------------------------------------------------------------------

IGTT_MENDED: Departures = {
    **because("|det Q| cuts at the mean and enlarges what it finds, round after round",
              choice="correlation"),
    **because("Otsu's threshold misses faint nuclei beside bright ones", seed_labels="sure",
              see_faint=True),
    **because("nuclei are not thin lines: each has its own width", width_of_objects="own",
              smallest=3.0),
    **because("if revised to the end, labels can get too thin (Dice 0.85 ± 0.04 against 0.90)",
              agreement_drop=0.02),
}  # fmt: skip
IGTT_SMALL: Departures = {
    **IGTT_MENDED, **STEADY, **FAST_ADAM,
    **because(LITTLE_TIME, epochs=20, batch_size=8, revise_every=3),
    **because("a quarter of the pixels for a processor", working_mpp=0.5, tile=128, crop=128),
    **because(SMALLER_NET, width=16),
    **because("a tenth of the pixels is not enough for few updates", sample=0.5, dmi_weight=0.4),
    **because("few updates leave no time for momentum to build up", optimizer="adam"),
}  # fmt: skip

_FAMILIES: Mapping[str, tuple[Departures, Departures]] = {
    "scnet": (SCNET_MENDED, {**SCNET_MENDED, **SCNET_SMALL}),
    "supervised": ({}, SUPERVISED_SMALL),
    "learner": ({}, LEARNER_SMALL),
    "meta": (META_MENDED, META_SMALL),
    "mmc": (MMC_MENDED, MMC_SMALL),
    "reweighting": (WITH_CLEAN, REWEIGHTING_SMALL),
    "finetune": ({}, FINETUNE_SMALL),
    "mlbseg": (MLBSEG_MENDED, MLBSEG_SMALL),
    "peers": (PEERS_MENDED, PEERS_SMALL),
    "superpixel": (SUPERPIXEL_MENDED, SUPERPIXEL_SMALL),
    "igtt": (IGTT_MENDED, IGTT_SMALL),
}


def of(family: str) -> dict[Preset, Departures]:
    """What `recommended` and `small` change in settings of this family."""
    mended, small = _FAMILIES[family]
    return {"recommended": mended, "small": small}
