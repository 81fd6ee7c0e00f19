"""What the worker does for governance; a message carries an id and may be lost or doubled."""

from celery import shared_task

from governance.services import delivering


@shared_task(name="governance.deliver_webhook")
def deliver_webhook(delivery_id: int) -> bool:
    """Send a webhook, if it is due and nobody else is at it."""
    return delivering.deliver(delivery_id=delivery_id)
