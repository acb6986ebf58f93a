/* SPDX-License-Identifier: BSD-2-Clause */
/* How the device signals its driver: a vector of MSI-X, or INTx with the ISR register. */
#include "virtio/pci_device.h"

/* Under `isr_lock`. */
static void settle(struct bk__virtio *virtio)
{
	bk__device_irqs_level(&virtio->irqs, virtio->isr && !virtio->intx_disabled);
}

void bk__virtio_interrupt(struct bk__virtio *virtio, unsigned vector, uint8_t isr)
{
	if (bk__device_irqs_on(&virtio->irqs, BK_DEVICE_MSIX)) {
		if (vector != BK__VIRTIO_NO_VECTOR)
			bk__device_irqs_fire(&virtio->irqs, vector);
		return;
	}
	pthread_mutex_lock(&virtio->isr_lock);
	virtio->isr |= isr;
	settle(virtio);
	pthread_mutex_unlock(&virtio->isr_lock);
}

uint8_t bk__virtio_isr_take(struct bk__virtio *virtio)
{
	uint8_t isr;

	pthread_mutex_lock(&virtio->isr_lock);
	isr = virtio->isr;
	virtio->isr = 0;
	settle(virtio);
	pthread_mutex_unlock(&virtio->isr_lock);
	return isr;
}

uint8_t bk__virtio_isr_peek(struct bk__virtio *virtio)
{
	uint8_t isr;

	pthread_mutex_lock(&virtio->isr_lock);
	isr = virtio->isr;
	pthread_mutex_unlock(&virtio->isr_lock);
	return isr;
}

void bk__virtio_intx_disable(struct bk__virtio *virtio, bool disabled)
{
	pthread_mutex_lock(&virtio->isr_lock);
	virtio->intx_disabled = disabled;
	settle(virtio);
	pthread_mutex_unlock(&virtio->isr_lock);
}
