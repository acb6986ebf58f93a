/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the quirks that a device gets. */
#include "cli/quirk_choice.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/number.h"
#include "quirk/quirk.h"

/* ---- Options ----------------------------------------------------------- */

int cli_quirks_set(struct cli_quirk_options *options, const char *text, struct bk_error *err)
{
	const char *equals = strchr(text, '=');
	uint64_t value;
	char *name;

	if (!equals || equals == text || !bk__base_number(equals + 1, &value))
		return bk_fail(err, EINVAL, "set=%s: give NAME=NUMBER, as in set=gms=2", text);
	if (bk__array_reserve(&options->settings, 1))
		return bk_fail(err, ENOMEM, "out of memory");
	name = strndup(text, (size_t)(equals - text));
	if (!name)
		return bk_fail(err, ENOMEM, "out of memory");
	options->settings.at[options->settings.count++] =
		(struct bk_quirk_setting){ .name = name, .value = value };
	return 0;
}

void cli_quirk_options_free(struct cli_quirk_options *options)
{
	for (size_t i = 0; i < options->settings.count; i++)
		free((char *)options->settings.at[i].name);
	free(options->settings.at);
	free(options->quirks);
	memset(options, 0, sizeof(*options));
}

/* ---- Files ------------------------------------------------------------- */

const char *cli_quirks_directory(void)
{
	static const char *const beside[] = { "../share/barkeep/quirks", "../quirks" };
	static char path[4096];
	const char *own = getenv("BARKEEP_QUIRKS");
	ssize_t length;
	char *slash;

	if (own && *own)
		return own;
	length = readlink("/proc/self/exe", path, sizeof(path) - 64);
	path[length > 0 ? length : 0] = 0;
	slash = strrchr(path, '/');
	for (size_t i = 0; slash && i < sizeof(beside) / sizeof(beside[0]); i++) {
		strcpy(slash + 1, beside[i]);
		if (!access(path, R_OK | X_OK))
			return path;
	}
	return BARKEEP_QUIRKS_DIR;
}

static int add(struct cli_quirks *quirks, struct bk_quirk *quirk, struct bk_error *err)
{
	if (bk__array_reserve(quirks, 1)) {
		bk_quirk_destroy(quirk);
		return bk_fail(err, ENOMEM, "out of memory");
	}
	quirks->at[quirks->count++] = quirk;
	return 0;
}

int cli_quirks_load(struct cli_quirks *quirks, const char *file, struct bk_error *err)
{
	struct bk_quirk *quirk;
	int r = bk_quirk_load(file, &quirk, err);

	return r ? r : add(quirks, quirk, err);
}

static int is_quirk(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return *entry->d_name != '.' && dot && !strcmp(dot, ".yaml");
}

int cli_quirks_load_shipped(struct cli_quirks *quirks, struct bk_error *err)
{
	const char *directory = cli_quirks_directory();
	struct dirent **entries;
	int count = scandir(directory, &entries, is_quirk, alphasort), r = 0;

	if (count < 0)
		return bk_fail(err, errno, "quirks are looked for in %s: %s (quirks=none goes without)",
			       directory, strerror(errno));
	for (int i = 0; i < count; i++) {
		char file[4096];

		if (!r &&
		    snprintf(file, sizeof(file), "%s/%s", directory, entries[i]->d_name) < (int)sizeof(file))
			r = cli_quirks_load(quirks, file, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

void cli_quirks_free(struct cli_quirks *quirks)
{
	for (size_t i = 0; i < quirks->count; i++)
		bk_quirk_destroy(quirks->at[i]);
	free(quirks->at);
	memset(quirks, 0, sizeof(*quirks));
}

/* ---- Kept ones --------------------------------------------------------- */

/* What one part of `quirks=A:B` named when it was read. */
struct kept {
	char *text;
	struct cli_quirks quirks;
	struct kept *next;
};
static struct kept *kept;

static int load_now(struct cli_quirks *quirks, const char *text, struct bk_error *err)
{
	return strcmp(text, "auto") ? cli_quirks_load(quirks, text, err)
				    : cli_quirks_load_shipped(quirks, err);
}

static const struct kept *find_kept(const char *text)
{
	const struct kept *one = kept;

	while (one && strcmp(one->text, text))
		one = one->next;
	return one;
}

static int keep(const char *text, struct bk_error *err)
{
	struct kept *one = calloc(1, sizeof(*one));
	int r;

	if (!one || !(one->text = strdup(text))) {
		free(one);
		return bk_fail(err, ENOMEM, "out of memory");
	}
	r = load_now(&one->quirks, text, err);
	if (r) {
		cli_quirks_free(&one->quirks);
		free(one->text);
		free(one);
		return r;
	}
	one->next = kept;
	kept = one;
	return 0;
}

int cli_quirks_keep(const struct cli_quirk_options *options, struct bk_error *err)
{
	char *texts = strdup(options->quirks ? options->quirks : "auto"), *rest = texts, *text;
	int r = texts ? 0 : bk_fail(err, ENOMEM, "out of memory");

	while (!r && (text = strsep(&rest, ":")))
		if (*text && strcmp(text, "none") && !find_kept(text))
			r = keep(text, err);
	free(texts);
	return r;
}

/* Those of a text, kept or not. */
static int load(struct cli_quirks *quirks, const char *text, struct bk_error *err)
{
	const struct kept *one = find_kept(text);
	int r = 0;

	if (!one)
		return load_now(quirks, text, err);
	for (size_t i = 0; i < one->quirks.count && !r; i++)
		r = add(quirks, bk__quirk_hold(one->quirks.at[i]), err);
	return r;
}

/* ---- A device's -------------------------------------------------------- */

/* Moves those that match to `chosen`. One that the user named must. */
static int choose(const struct cli_quirk_options *options, struct bk_device *device,
		  struct cli_quirks *candidates, bool named, struct cli_quirks *chosen, struct bk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < candidates->count && r >= 0; i++) {
		struct bk_error why = { "" };

		r = bk_quirk_match(candidates->at[i], device, options->settings.at, options->settings.count,
				   &why);
		if (r < 0)
			bk_fail(err, -r, "%s: %s", device->name, why.text);
		else if (!r && named)
			r = bk_fail(err, EINVAL, "%s: this quirk is not for it: %s", device->name, why.text);
		if (r <= 0)
			continue;
		r = add(chosen, candidates->at[i], err);
		candidates->at[i] = NULL;
	}
	return r < 0 ? r : 0;
}

/* Notes which settings are options of one of them. */
static void note_known(const struct cli_quirk_options *options, const struct cli_quirks *quirks, bool *known)
{
	for (size_t i = 0; i < quirks->count; i++) {
		const char *name, *about;

		for (unsigned o = 0; (name = bk_quirk_option(quirks->at[i], o, &about)); o++)
			for (size_t s = 0; s < options->settings.count; s++)
				known[s] |= !strcmp(name, options->settings.at[s].name);
	}
}

/* One of `quirks=A:B`. */
static int choose_one(const struct cli_quirk_options *options, struct bk_device *device, const char *text,
		      struct cli_quirks *chosen, bool *known, struct bk_error *err)
{
	const bool shipped = !strcmp(text, "auto");
	struct cli_quirks candidates = { 0 };
	int r = load(&candidates, text, err);

	if (!r) {
		note_known(options, &candidates, known);
		r = choose(options, device, &candidates, !shipped, chosen, err);
	}
	cli_quirks_free(&candidates);
	return r;
}

/* One that no quirk knows would have no effect, unseen. Those that other options of a device imply may have
 * none. */
static int check_settings(const struct cli_quirk_options *options, const bool *known, struct bk_error *err)
{
	for (size_t s = 0; s < options->settings.count; s++)
		if (!known[s] && strcmp(options->settings.at[s].name, "vga") &&
		    strcmp(options->settings.at[s].name, "rombar"))
			return bk_fail(err, EINVAL, "set=%s: none of the quirks has such an option",
				       options->settings.at[s].name);
	return 0;
}

static int choose_all(const struct cli_quirk_options *options, struct bk_device *device,
		      struct cli_quirks *chosen, struct bk_error *err)
{
	char *texts = strdup(options->quirks ? options->quirks : "auto"), *rest = texts, *text;
	bool *known = calloc(options->settings.count + 1, sizeof(*known));
	int r = texts && known ? 0 : bk_fail(err, ENOMEM, "out of memory");

	if (!r && !strcmp(texts, "none"))
		rest = NULL;
	while (!r && (text = strsep(&rest, ":"))) {
		if (!*text)
			r = bk_fail(err, EINVAL, "quirks=%s: auto, none, or files separated by colons",
				    options->quirks);
		else if (!strcmp(text, "none"))
			r = bk_fail(err, EINVAL,
				    "quirks=%s: none stands alone (a file of that name is ./none)",
				    options->quirks);
		else
			r = choose_one(options, device, text, chosen, known, err);
	}
	if (!r)
		r = check_settings(options, known, err);
	if (!r && chosen->count > BK_QUIRKS_MAX)
		r = bk_fail(err, EINVAL, "%s: %zu quirks (%d at most)", device->name, chosen->count,
			    BK_QUIRKS_MAX);
	free(texts);
	free(known);
	return r;
}

int cli_quirks_stack(const struct cli_quirk_options *options, struct bk_device **device,
		     struct cli_quirks *chosen, struct bk_error *err)
{
	struct bk_device *below = *device;
	int r = choose_all(options, below, chosen, err);

	if (r) {
		bk_device_close(below);
		*device = NULL;
		return r;
	}
	if (!chosen->count)
		return 0;
	return bk_quirk_stack(below,
			      &(struct bk_quirk_stack_desc){ .quirks = chosen->at,
							     .count = chosen->count,
							     .settings = options->settings.at,
							     .setting_count = options->settings.count },
			      device, err);
}
