/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that look at one device. */
#include "cli/look.h"

#include <errno.h>

#include "cli/cli.h"
#include "cli/device_kinds.h"

int cli_look(const char *command, const char *text,
	     void (*look)(void *opaque, const struct cli_device *device), void *opaque)
{
	struct bk_error err = { { 0 } };
	struct cli_device device;
	struct bk_device_context *context;
	struct bk_domain *domain;
	int error;

	if (cli_device_parse(text, CLI_FRONT_OWN, &device, &err))
		return cli_usage(command, "%s", err.text);
	context = cli_kinds_context();
	domain = bk_domain_create();
	if (!context || !domain)
		error = bk_fail(&err, ENOMEM, "out of memory");
	else
		error = cli_device_open(&device, context, domain, &err);
	if (error)
		cli_error(&err);
	else
		look(opaque, &device);
	cli_device_close(&device);
	if (domain)
		bk_domain_destroy(domain);
	if (context)
		bk_device_context_destroy(context);
	return error ? CLI_ERROR : CLI_OK;
}
