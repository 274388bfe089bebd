"""The campaigns there are, in the order in which they run."""

from __future__ import annotations

from tests.campaigns import bundles, graphs, logs, models, pictures, signals, targets, tensorflow_lite, wire

CAMPAIGNS = {
    campaign.name: campaign
    for campaign in (
        graphs.CAMPAIGN,
        models.CAMPAIGN,
        tensorflow_lite.CAMPAIGN,
        bundles.CAMPAIGN,
        logs.CAMPAIGN,
        targets.CAMPAIGN,
        pictures.CAMPAIGN,
        signals.CAMPAIGN,
        wire.CAMPAIGN,
    )
}
