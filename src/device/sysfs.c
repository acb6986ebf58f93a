/* SPDX-License-Identifier: BSD-2-Clause */
/* What the host's sysfs says of a PCI function, for opening it and for the lines that say why not. */
#include "device/sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes `least` to `most` hexadecimal digits and the character `behind` off the text; -1 if they are missing.
 */
static int64_t take_hex(const char **text, size_t least, size_t most, char behind)
{
	size_t digits = strspn(*text, "0123456789abcdefABCDEF");
	int64_t value;

	if (digits < least || digits > most || (*text)[digits] != behind)
		return -1;
	value = (int64_t)strtoul(*text, NULL, 16);
	*text += digits + 1;
	return value;
}

int bk__device_pci_address(const char *text, char address[BK__PCI_ADDRESS])
{
	int64_t domain = 0, bus, slot, function;

	if (strcspn(text, ":") > 2) {
		domain = take_hex(&text, 4, 8, ':');
		if (domain < 0)
			return -EINVAL;
	}
	bus = take_hex(&text, 2, 2, ':');
	slot = bus < 0 ? -1 : take_hex(&text, 2, 2, '.');
	function = slot < 0 ? -1 : take_hex(&text, 1, 1, 0);
	if (slot > 31 || function < 0 || function > 7)
		return -EINVAL;
	snprintf(address, BK__PCI_ADDRESS, "%04x:%02x:%02x.%x", (unsigned)domain, (unsigned)bus & 0xff,
		 (unsigned)slot & 0x1f, (unsigned)function & 7);
	return 0;
}

int bk__sysfs_uuid(const char *text, char uuid[BK__SYSFS_ADDRESS])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != strlen(form))
		return -EINVAL;
	for (size_t i = 0; i <= strlen(form); i++) {
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return -EINVAL;
		uuid[i] = (char)tolower((unsigned char)text[i]);
	}
	return 0;
}

int bk__sysfs_address(const char *text, char address[BK__SYSFS_ADDRESS])
{
	size_t end = strlen(text), start;
	char last[BK__SYSFS_ADDRESS];

	if (*text == '/') {
		while (end && text[end - 1] == '/')
			end--;
		for (start = end; start && text[start - 1] != '/';)
			start--;
		if (end - start >= sizeof(last))
			return -EINVAL;
		snprintf(last, sizeof(last), "%.*s", (int)(end - start), text + start);
		text = last;
	}
	return bk__device_pci_address(text, address) ? bk__sysfs_uuid(text, address) : 0;
}

bool bk__sysfs_is_mediated(const char *address)
{
	return !strchr(address, ':');
}

static void path_of(char path[PATH_MAX], const char *sysfs, const char *address, const char *file)
{
	snprintf(path, PATH_MAX, "%s/bus/%s/devices/%s%s%s", sysfs,
		 bk__sysfs_is_mediated(address) ? "mdev" : "pci", address, *file ? "/" : "", file);
}

/* The last part of the target of a link of the function. */
static int link_name(const char *sysfs, const char *address, const char *link, char name[BK__SYSFS_FACT])
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t length;

	path_of(path, sysfs, address, link);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = 0;
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= BK__SYSFS_FACT)
		return -ENAMETOOLONG;
	strcpy(name, last);
	return 0;
}

bool bk__sysfs_exists(const char *sysfs, const char *address)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(path, sysfs, address, "");
	return !stat(path, &st);
}

int bk__sysfs_driver(const char *sysfs, const char *address, char driver[BK__SYSFS_FACT])
{
	return link_name(sysfs, address, "driver", driver);
}

bool bk__device_driver_is_vfio(const char *driver)
{
	return strstr(driver, "vfio");
}

int bk__sysfs_group(const char *sysfs, const char *address)
{
	char name[BK__SYSFS_FACT], *end;
	long number;
	int ret = link_name(sysfs, address, "iommu_group", name);

	if (ret)
		return ret;
	number = strtol(name, &end, 10);
	return *end || end == name || number < 0 || number > INT_MAX ? -ENOENT : (int)number;
}

int bk__sysfs_fact(const char *sysfs, const char *address, const char *file, char value[BK__SYSFS_FACT])
{
	char path[PATH_MAX];
	ssize_t length;
	int fd;

	path_of(path, sysfs, address, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, value, BK__SYSFS_FACT - 1);
	close(fd);
	if (length < 0)
		return -EIO;
	value[length] = 0;
	value[strcspn(value, "\n")] = 0;
	return 0;
}

int bk__sysfs_config(const char *sysfs, const char *address, void *data, size_t count)
{
	char path[PATH_MAX];
	size_t have = 0;
	ssize_t more = 1;
	int fd;

	path_of(path, sysfs, address, "config");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (have < count && more > 0) {
		more = read(fd, (char *)data + have, count - have);
		if (more > 0)
			have += (size_t)more;
	}
	close(fd);
	return more < 0 ? -EIO : (int)have;
}

void bk__sysfs_group_members(const char *sysfs, const char *address,
			     void (*each)(void *opaque, const char *member, const char *driver), void *opaque)
{
	char path[PATH_MAX], driver[BK__SYSFS_FACT];
	struct dirent *entry;
	DIR *dir;

	path_of(path, sysfs, address, "iommu_group/devices");
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, address))
			continue;
		if (bk__sysfs_driver(sysfs, entry->d_name, driver))
			driver[0] = 0;
		each(opaque, entry->d_name, driver);
	}
	closedir(dir);
}
