/* SPDX-License-Identifier: BSD-2-Clause */
/* YAML with positions: values by tables of fields, and each error with its line and column. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/yaml.h"

struct thing {
	uint64_t number, size, few, bit;
	bool flag;
	const char *text;
	unsigned choice;
	const struct bk__yaml_node *entries, *map, *any;
};

static const char *const choices[] = { "red", "green", NULL };

#define AT(member) offsetof(struct thing, member)
static const struct bk__yaml_field fields[] = {
	{ "number", BK__YAML_NUMBER, AT(number), true, 1, UINT64_MAX, NULL },
	{ "size", BK__YAML_SIZE, AT(size), false, 0, UINT64_MAX, NULL },
	{ "few", BK__YAML_NUMBER, AT(few), false, 0x10, 0x20, NULL },
	{ "bit", BK__YAML_NUMBER, AT(bit), false, 0, 7, NULL },
	{ "flag", BK__YAML_BOOL, AT(flag), false, 0, 0, NULL },
	{ "text", BK__YAML_TEXT, AT(text), false, 2, 4, NULL },
	{ "choice", BK__YAML_CHOICE, AT(choice), false, 0, 0, choices },
	{ "list", BK__YAML_NODES_OF, AT(entries), false, 1, 2, NULL },
	{ "map", BK__YAML_MAP_OF, AT(map), false, 0, 0, NULL },
	{ "any", BK__YAML_NODE, AT(any), false, 0, 0, NULL },
	{ 0 },
};

static struct bk__yaml *parse(const char *text)
{
	struct bk__yaml *yaml;
	struct bk_error err = { "" };

	if (bk__yaml_parse("x.yaml", text, strlen(text), &yaml, &err))
		fail_msg("%s", err.text);
	return yaml;
}

static void values_are_stored_by_type(void **state)
{
	struct bk__yaml *yaml = parse("number: 0xFFFFFFFFFFFFFFFF\nsize: 3M\nflag: true\ntext: 'a b'\n"
				      "choice: green\nlist: [1, {a: b}]\nmap: {k: v}\nany: \n");
	struct thing thing = { 0 };

	assert_int_equal(bk__yaml_read(yaml, bk__yaml_root(yaml), "a thing", fields, &thing, NULL), 0);
	assert_int_equal(thing.number, UINT64_MAX);
	assert_int_equal(thing.size, 3 << 20);
	assert_true(thing.flag);
	assert_string_equal(thing.text, "a b");
	assert_int_equal(thing.choice, 1);
	assert_int_equal(thing.entries->count, 2);
	assert_int_equal(thing.entries->first->next->line, 6);
	assert_int_equal(thing.entries->first->next->column, 11);
	assert_string_equal(bk__yaml_get(thing.map, "k")->text, "v");
	assert_int_equal(bk__yaml_get(thing.map, "k")->key->column, 7);
	assert_null(bk__yaml_get(thing.map, "v"));
	assert_null(bk__yaml_get(thing.entries, "k"));
	assert_string_equal(thing.any->text, "");
	bk__yaml_free(yaml);
}

static void what_is_absent_keeps_its_default(void **state)
{
	struct bk__yaml *yaml = parse("number: 1\n");
	struct thing thing = { .size = 7, .flag = true, .text = "x" };

	assert_int_equal(bk__yaml_read(yaml, bk__yaml_root(yaml), "a thing", fields, &thing, NULL), 0);
	assert_int_equal(thing.size, 7);
	assert_true(thing.flag);
	assert_string_equal(thing.text, "x");
	assert_null(thing.any);
	bk__yaml_free(yaml);
}

static void values_of_the_wrong_type_are_refused(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "number: 0", "1:9: number must be a number from 1 to 0xffffffffffffffff, not \"0\"" },
		{ "number: 18446744073709551616", "1:9: number must be" },
		{ "number: 0x10000000000000000", "1:9: number must be" },
		{ "number: 010", "1:9: number must be" },
		{ "number: 1K", "1:9: number must be" },
		{ "number: 0x", "1:9: number must be" },
		{ "number: 1 2", "1:9: number must be" },
		{ "number: '1'",
		  "1:9: number must be a number from 1 to 0xffffffffffffffff, not the text \"1\"" },
		{ "number: [1]", "1:9: number must be" },
		{ "number: ", "1:8: number must be" },
		{ "size: K", "1:7: size must be" },
		{ "size: 1KK", "1:7: size must be" },
		{ "size: 16777216T", "1:7: size must be" },
		{ "few: 15", "1:6: few must be a number from 0x10 to 0x20, not \"15\"" },
		{ "few: 33", "1:6: few must be a number from 0x10 to 0x20, not \"33\"" },
		{ "bit: 8", "1:6: bit must be a number from 0 to 7, not \"8\"" },
		{ "flag: yes", "1:7: flag must be true or false, not \"yes\"" },
		{ "flag: {}", "1:7: flag must be true or false, not \"a map\"" },
		{ "text: a", "1:7: text must be a text of 2 to 4 bytes, not \"a\"" },
		{ "text: abcde", "1:7: text must be" },
		{ "text: [ab]", "1:7: text must be" },
		{ "choice: blue", "1:9: choice must be one of red, green, not \"blue\"" },
		{ "list: []", "1:7: list must have from 1 to 2 entries, not 0" },
		{ "list: [1, 2, 3]", "1:7: list must have" },
		{ "list: 1", "1:7: list must be a list" },
		{ "map: []", "1:6: map must be a map" },
		{ "text: abc\nmore: 1",
		  "2:1: a thing has no key \"more\"; remove it, or use one of: number, size" },
		{ "text: abc", "1:1: a thing needs the key \"number\"; add it" },
		{ "- 1", "1:1: a thing must be a map" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bk__yaml *yaml = parse(cases[i].text);
		struct thing thing;
		struct bk_error err = { "" };
		char expected[200];

		snprintf(expected, sizeof(expected), "x.yaml:%s", cases[i].error);
		assert_int_equal(bk__yaml_read(yaml, bk__yaml_root(yaml), "a thing", fields, &thing, &err),
				 -EINVAL);
		err.text[strlen(expected)] = 0;
		assert_string_equal(err.text, expected);
		bk__yaml_free(yaml);
	}
}

static void false_is_a_value(void **state)
{
	struct bk__yaml *yaml = parse("number: 1\nflag: false\n");
	struct thing thing = { .flag = true };

	assert_int_equal(bk__yaml_read(yaml, bk__yaml_root(yaml), "a thing", fields, &thing, NULL), 0);
	assert_false(thing.flag);
	bk__yaml_free(yaml);
}

/* Where something is wrong inside a text: its place in the file, or, where that cannot be told, what is
 * there.
 */
static void errors_inside_a_text_say_where(void **state)
{
	static const struct {
		const char *text;
		size_t at;
		const char *error;
	} cases[] = {
		{ "a + b", 2, "x.yaml:1:3: odd" },
		{ "'a + b'", 2, "x.yaml:1:4: odd" },
		{ "\u00fc + b", 3, "x.yaml:1:3: odd" },
		{ "\"a\\x2b b\"", 1, "x.yaml:1:1: odd, at \"+ b\"" },
		{ "\"a\\x2b\"", 2, "x.yaml:1:1: odd, at the end of this" },
		{ "\"\\x2b234567890123456789012345678901234567890123456789\"", 0,
		  "x.yaml:1:1: odd, at \"+234567890123456789012345678901234567890\"" },
		{ "\"\\x2b234567890123456789012345678901234567890\u00fc\u00fc\"", 1,
		  "x.yaml:1:1: odd, at \"234567890123456789012345678901234567890\"" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bk__yaml *yaml = parse(cases[i].text);
		struct bk_error err = { "" };

		assert_int_equal(bk__yaml_fail_inside(yaml, bk__yaml_root(yaml), cases[i].at, &err, "odd"),
				 -EINVAL);
		assert_string_equal(err.text, cases[i].error);
		bk__yaml_free(yaml);
	}
}

static void syntax_is_checked(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", ":1:1: the file is empty" },
		{ "name: [", ":2:1: not YAML: did not find expected node content" },
		{ "a: b: c\n", ":1:5: not YAML: mapping values are not allowed in this context" },
		{ "\tx: 1\n", ":1:1: not YAML: found character that cannot start any token" },
		{ "name: \xff\n", ":1:7: not YAML: invalid leading UTF-8 octet" },
		{ "ab: é\nc: \x01\n", ":2:4: not YAML: control characters are not allowed" },
		{ "name: &a x\n", ":1:7: an anchor (&) is not used here; remove it" },
		{ "name: *a\n", ":1:7: aliases (*) are not used here; write the value out" },
		{ "name: !!str x\n", ":1:7: a tag (!) is not used here; remove it" },
		{ "a: 1\n"
		  "---\nname: y\n",
		  ":2:1: a second document; put one in a file and remove this one" },
		{ "[a, b]: c\n", ":1:1: a key must be a word, not a list or map" },
		{ "name: x\nname: y\n", ":2:1: \"name\" is given twice (first in line 1); remove one" },
		{ "name: \"a\\0b\"\n", ":1:7: a NUL character; remove it" },
		{ "[[[[[[[[[[[[[[[[[[[[", ":1:17: nested too deep: at most 16 levels" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bk__yaml *yaml = (struct bk__yaml *)&yaml;
		struct bk_error err = { "" };

		assert_int_equal(bk__yaml_parse("x.yaml", cases[i].text, strlen(cases[i].text), &yaml, &err),
				 -EINVAL);
		assert_null(yaml);
		assert_memory_equal(err.text, "x.yaml", 6);
		assert_string_equal(err.text + 6, cases[i].error);
	}
}

/* Repeats a piece of text `count` times and parses it. */
static void refuse_many(const char *before, const char *piece, unsigned count, const char *error)
{
	size_t length = strlen(before), step = strlen(piece);
	char *text = malloc(length + count * step + 1);
	struct bk__yaml *yaml;
	struct bk_error err = { "" };

	strcpy(text, before);
	for (unsigned i = 0; i < count; i++, length += step)
		memcpy(text + length, piece, step);
	assert_int_equal(bk__yaml_parse("x.yaml", text, length, &yaml, &err), -EINVAL);
	free(text);
	if (!strstr(err.text, error))
		fail_msg("%s", err.text);
}

static void size_is_bounded(void **state)
{
	char keys[1000] = "{";

	for (unsigned i = 0; i < 65; i++)
		snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "k%u: 1, ", i);
	refuse_many(keys, "", 0, "too many keys here: at most 64");
	refuse_many("[", "1,", 400000, "too many values in one file: at most 262144");
	refuse_many("", "#", BK__YAML_BYTES + 1, "x.yaml:1:1: the file is too large: at most 1048576 bytes");
	refuse_many("", "[", 100000, "nested too deep");
	refuse_many("", "- ", 100000, "nested too deep");
	refuse_many("", "{a: ", 100000, "nested too deep");
}

static void errors_are_one_line(void **state)
{
	const char *text = "\"a\\nb\\eb\": 1\n";
	struct bk__yaml *yaml;
	struct bk_error err = { "" };
	struct thing thing;

	assert_int_equal(bk__yaml_parse("a\nfile", text, strlen(text), &yaml, NULL), 0);
	assert_int_equal(bk__yaml_read(yaml, bk__yaml_root(yaml), "a thing", fields, &thing, &err), -EINVAL);
	err.text[41] = 0;
	assert_string_equal(err.text, "a?file:1:1: a thing has no key \"a?b?b\"; r");
	assert_int_equal(bk__yaml_read(yaml, bk__yaml_root(yaml), "a thing", fields, &thing, NULL), -EINVAL);
	bk__yaml_free(yaml);
}

static void files_must_be_regular_and_bounded(void **state)
{
	char directory[] = "/tmp/barkeep-yaml-XXXXXX", file[64];
	struct bk__yaml *yaml;
	struct bk_error err = { "" };
	FILE *stream;

	assert_non_null(mkdtemp(directory));
	assert_int_equal(bk__yaml_load(directory, &yaml, &err), -EINVAL);
	assert_non_null(strstr(err.text, ": not a regular file"));
	snprintf(file, sizeof(file), "%s/x.yaml", directory);
	assert_int_equal(bk__yaml_load(file, &yaml, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/x.yaml: cannot be opened: No such file or directory"));
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(bk__yaml_load(file, &yaml, &err), -EINVAL);
	assert_non_null(strstr(err.text, ": not a regular file"));
	unlink(file);

	stream = fopen(file, "w");
	fputs("number: 5\n", stream);
	fclose(stream);
	assert_int_equal(bk__yaml_load(file, &yaml, &err), 0);
	assert_string_equal(bk__yaml_get(bk__yaml_root(yaml), "number")->text, "5");
	bk__yaml_free(yaml);
	assert_int_equal(truncate(file, BK__YAML_BYTES + 1), 0);
	assert_int_equal(bk__yaml_load(file, &yaml, &err), -EFBIG);
	assert_non_null(strstr(err.text, "x.yaml: too large: at most 1048576 bytes"));
	assert_null(yaml);
	unlink(file);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_stored_by_type),
		cmocka_unit_test(what_is_absent_keeps_its_default),
		cmocka_unit_test(values_of_the_wrong_type_are_refused),
		cmocka_unit_test(false_is_a_value),
		cmocka_unit_test(errors_inside_a_text_say_where),
		cmocka_unit_test(syntax_is_checked),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(errors_are_one_line),
		cmocka_unit_test(files_must_be_regular_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
