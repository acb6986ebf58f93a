/* SPDX-License-Identifier: BSD-2-Clause */
/* What the servers of devices in one IOMMU group share. */
#include <stdlib.h>

#include "serve/session.h"

struct bk__serve_group *bk__serve_group_create(void)
{
	struct bk__serve_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	pthread_mutex_init(&group->lock, NULL);
	bk__serve_files_init(&group->files);
	return group;
}

void bk__serve_group_destroy(struct bk__serve_group *group)
{
	if (!group)
		return;
	pthread_mutex_destroy(&group->lock);
	bk__serve_files_done(&group->files);
	free(group);
}

bool bk__serve_group_enter(struct bk__serve_group *group, uid_t user)
{
	bool enters;

	if (!group)
		return true;
	pthread_mutex_lock(&group->lock);
	enters = !group->clients || group->user == user;
	group->user = enters ? user : group->user;
	group->clients += enters;
	pthread_mutex_unlock(&group->lock);
	return enters;
}

void bk__serve_group_leave(struct bk__serve_group *group)
{
	if (!group)
		return;
	pthread_mutex_lock(&group->lock);
	group->clients--;
	pthread_mutex_unlock(&group->lock);
}
