/* SPDX-License-Identifier: BSD-2-Clause */
/* Quirk files: what is wrong with one, and where. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quirk_kit.h"

static void refused(const char *text, const char *where)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	assert_int_equal(bk_quirk_parse("x.yaml", text, strlen(text), &quirk, &err), -EINVAL);
	assert_null(quirk);
	if (strncmp(err.text, where, strlen(where)) || strchr(err.text, '\n'))
		fail_msg("%s\n  instead of %s\n%s", err.text, where, text);
	assert_int_equal(bk_quirk_parse("x.yaml", text, strlen(text), &quirk, NULL), -EINVAL);
}

static void mistakes_are_told_with_line_and_column(void **state)
{
	refused("", "x.yaml:1:1: ");
	refused("[]", "x.yaml:1:1: a quirk file is a map");
	refused("quirk: x\n", "x.yaml:1:1: ");
	refused("quirk: X\nabout: a\nmatch: {vendor: 1}\nrom: {hide: true}\n", "x.yaml:1:8: a quirk's name");
	refused(HEAD, "x.yaml:1:1: this quirk does nothing");
	refused(HEAD "colour: red\n", "x.yaml:4:1: ");
	refused("quirk: x\nabout: a\nmatch: {}\nrom: {hide: true}\n",
		"x.yaml:3:8: this matches every device");
	refused("quirk: x\nabout: a\nmatch: {vendor: 0x10000}\nrom: {hide: true}\n",
		"x.yaml:3:17: here must be a number up to 0xffff");
	refused("quirk: x\nabout: a\nmatch: {vendor: [1, x]}\nrom: {hide: true}\n", "x.yaml:3:21: ");
	refused("quirk: x\nabout: a\nmatch: {device: 0x5801/0xff00}\nrom: {hide: true}\n",
		"x.yaml:3:17: the value has bits");
	refused("quirk: x\nabout: a\nmatch: {device: 0x5800/}\nrom: {hide: true}\n", "x.yaml:3:17: ");
	refused("quirk: x\nabout: a\nmatch: {bars: [{index: 6}]}\nrom: {hide: true}\n", "x.yaml:3:24: ");
	refused("quirk: x\nabout: a\nmatch: {bars: [1]}\nrom: {hide: true}\n", "x.yaml:3:16: a BAR is a map");
	refused("quirk: x\nabout: a\nmatch: {bars: [{index: 0, min: 4M, max: 1M}]}\nrom: {hide: true}\n",
		"x.yaml:3:41: max is less than min");
	bk_quirk_destroy(parse(
		"quirk: x\nabout: a\nmatch: {bars: [{index: 0, min: 4M, max: 4M}]}\nrom: {hide: true}\n"));
	refused("quirk: x\nabout: a\nmatch: {when: at == 1}\nrom: {hide: true}\n",
		"x.yaml:3:15: there is nothing here with the name \"at\"");
}

static void mistakes_in_names(void **state)
{
	refused(HEAD "variables: {at: 1}\nrom: {hide: true}\n", "x.yaml:4:13: \"at\" means something");
	refused(HEAD "variables: {A: 1}\nrom: {hide: true}\n", "x.yaml:4:13: a name has small letters");
	refused(HEAD "variables: {a: b}\nrom: {hide: true}\n", "x.yaml:4:16: there is nothing here");
	refused(HEAD "variables: {a: a = 1}\nrom: {hide: true}\n", "x.yaml:4:16: ");
	refused(HEAD "options: {o: {about: x}}\nvariables: {o: 1}\nrom: {hide: true}\n",
		"x.yaml:5:13: \"o\" is an option already");
	refused(HEAD "options: {o: 1}\nrom: {hide: true}\n", "x.yaml:4:14: an option is a map");
	refused(HEAD "options: {o: {about: x, valid: host.4(0)}}\nrom: {hide: true}\n",
		"x.yaml:4:32: host cannot be used here");
	/* There is no device yet of which they could tell. */
	refused(HEAD "options: {o: {about: x, valid: o + cap(msi)}}\nrom: {hide: true}\n",
		"x.yaml:4:36: there is nothing here with the name \"cap\"");
	refused(HEAD "options: {o: {about: x, valid: size(0)}}\nrom: {hide: true}\n",
		"x.yaml:4:32: there is nothing here with the name \"size\"");
}

static void what_a_quirk_is_about_is_one_line(void **state)
{
	static const char *const wrong[] = { "a\\n", "a\\nb", "\\e[31m", "a\\tb", "\\x7f", "\\x9b1m", "\\N" };

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[200];

		snprintf(text, sizeof(text),
			 "quirk: x\nabout: \"%s\"\nmatch: {vendor: 1}\nrom: {hide: true}\n", wrong[i]);
		refused(text, "x.yaml:2:8: about is one line, without control characters");
		snprintf(text, sizeof(text), HEAD "options: {o: {about: \"%s\"}}\nrom: {hide: true}\n",
			 wrong[i]);
		refused(text, "x.yaml:4:22: about is one line, without control characters");
	}
	bk_quirk_destroy(
		parse("quirk: x\nabout: \"\\xa0\u00e9 \\\"'\"\nmatch: {vendor: 1}\nrom: {hide: true}\n"));
}

#define TRAP(text) HEAD "traps:\n  - {" text "}\n"

static void mistakes_in_traps(void **state)
{
	refused(HEAD "traps: []\n", "x.yaml:4:8: ");
	refused(HEAD "traps: [1]\n", "x.yaml:4:9: a trap is a map");
	refused(TRAP("at: bar0+0/4"), "x.yaml:5:5: this trap does nothing");
	refused(TRAP("read: 1"), "x.yaml:5:5: ");
	refused(TRAP("at: bar6+0/4, log: true"), "x.yaml:5:10: here must be REGION+OFFSET/LENGTH");
	refused(TRAP("at: bar0, log: true"), "x.yaml:5:10: here must be REGION+OFFSET/LENGTH");
	refused(TRAP("at: bar0+0, log: true"), "x.yaml:5:10: here must be REGION+OFFSET/LENGTH");
	refused(TRAP("at: bar0+x/4, log: true"), "x.yaml:5:15: there is nothing here with the name \"x\"");
	refused(TRAP("at: bar0+0x10/, log: true"), "x.yaml:5:20: here must be a number");
	refused(TRAP("at: bar0+at/4, log: true"), "x.yaml:5:15: there is nothing here with the name \"at\"");
	refused(TRAP("at: bar0+0/4, width: 3, log: true"), "x.yaml:5:27: width must be");
	refused(TRAP("at: bar0+0/4, read: drop"), "x.yaml:5:26: a read must give a number");
	refused(TRAP("at: bar0+0/4, read: device = 1"), "x.yaml:5:26: a read must give a number");
	refused(TRAP("at: bar0+0/4, read: []"), "x.yaml:5:26: here must be 1 to 16");
	refused(TRAP("at: bar0+0/4, read: {a: 1}"), "x.yaml:5:26: here must be an expression, not a map");
	refused(TRAP("at: bar0+0/4, write: value"), "x.yaml:5:27: in a write this does nothing");
	refused(TRAP("at: bar0+0/4, write: [device, 7]"), "x.yaml:5:36: in a write this does nothing");
	refused(TRAP("at: bar0+0/4, when: value = 1, log: true"), "x.yaml:5:26: what is left of =");
	refused(TRAP("at: bar0+0/4, when: device = 1, log: true"), "x.yaml:5:26: here must be a number or a");
	refused(TRAP("at: bar0+0/4, write: drop, accelerate: true"), "x.yaml:5:45: only a rule for a BAR");
	refused(TRAP("at: config+0/4, write: device, accelerate: true"),
		"x.yaml:5:49: only a rule for a BAR");
	refused(TRAP("at: bar0+0/4, when: value, write: device, accelerate: true"),
		"x.yaml:5:60: only a rule");
	refused(TRAP("at: bar0+0/4, write: here(1)"), "x.yaml:5:27: here cannot be used here");
}

static void mistakes_in_expressions(void **state)
{
	refused(TRAP("at: bar0+0/4, read: 1 +"), "x.yaml:5:29: here must be a number, a name");
	refused(TRAP("at: bar0+0/4, read: (1"), "x.yaml:5:28: here a parenthesis must be closed");
	refused(TRAP("at: bar0+0/4, read: 1 2"), "x.yaml:5:28: from here on this is not understood");
	refused(TRAP("at: bar0+0/4, read: 0x"), "x.yaml:5:26: a number has digits after 0x");
	refused(TRAP("at: bar0+0/4, read: 12ab"), "x.yaml:5:26: this is no number");
	refused(TRAP("at: bar0+0/4, read: 0x10000000000000000"), "x.yaml:5:26: this number has more than 64");
	refused(TRAP("at: bar0+0/4, read: '1 + foo'"), "x.yaml:5:31: there is nothing here");
	refused(TRAP("at: bar0+0/4, read: config"), "x.yaml:5:32: here must be a parenthesis");
	refused(TRAP("at: bar0+0/4, read: config.3(1)"), "x.yaml:5:32: after the dot comes a width");
	refused(TRAP("at: bar0+0/4, read: cap(foo)"), "x.yaml:5:30: \"foo\" is no standard capability");
	refused(TRAP("at: bar0+0/4, read: cap(sriov)"), "x.yaml:5:30: \"sriov\" is no standard capability");
	refused(TRAP("at: bar0+0/4, read: cap(256)"), "x.yaml:5:30: this is no capability's id");
	refused(TRAP("at: bar0+0/4, read: cap(at + 1)"), "x.yaml:5:30: ");
	refused(TRAP("at: bar0+0/4, read: cap 5"), "x.yaml:5:30: here must be a capability in parentheses");
	refused(TRAP("at: bar0+0/4, read: cap(~5)"), "x.yaml:5:30: here must be a capability's name or id");
	refused(TRAP("at: bar0+0/4, read: cap(5"), "x.yaml:5:31: here a parenthesis must be closed");
	refused(TRAP("at: bar0+0/4, read: cap(0xZ)"), "x.yaml:5:30: a number has digits");
	refused(TRAP("at: bar0+0/4, read: [cap(1)+cap(2)+cap(3)+cap(4)+cap(5)+cap(6)+cap(7)+cap(8)+cap(9), "
		     "cap(10)+cap(11)+cap(12)+cap(13)+cap(14)+cap(15)+cap(16)+cap(0x1F)]"),
		"x.yaml:5:151: too many capabilities");
	refused(TRAP("at: bar0+host.4(0) = 1/4, log: true"), "x.yaml:5:10: OFFSET and LENGTH are numbers");
	refused(TRAP("at: bar0+0/4, read: ((((((((((((((((((((((((((1"),
		"x.yaml:5:50: this is nested too deep");
	refused(TRAP("at: bar0+0/4, read: ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~1"), "x.yaml:5:50: this is nested");
	refused(TRAP("at: bar0+0/4, read: "
		     "1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1"),
		"x.yaml:5:91: this is too long");
	refused(HEAD "reset:\n  steps:\n    - bar0(4) = 1\n", "x.yaml:6:11: here must be a width");
}

/* Where the text of an expression is not in the file as it is, its mistakes are quoted. */
static void mistakes_in_folded_and_escaped_expressions(void **state)
{
	refused(HEAD
		"traps:\n  - at: bar0+0/4\n    read: >-\n      1 +\n      foo + 0x12345678901234567890\n",
		"x.yaml:6:11: there is nothing here with the name \"foo\", at \"foo + "
		"0x12345678901234567890\"");
	refused(HEAD "traps:\n  - at: bar0+0/4\n    read: |-\n      1 +\n      (2\n",
		"x.yaml:6:11: here a parenthesis must be closed, at the end of this");
	refused(HEAD "traps:\n  - at: bar0+0/4\n    read: 1 +\n      foo\n",
		"x.yaml:6:11: there is nothing here with the name \"foo\", at \"foo\"");
	refused(TRAP("at: bar0+0/4, read: \"1 \\x2b foo\""),
		"x.yaml:5:26: there is nothing here with the name \"foo\", at \"foo\"");
	refused(TRAP("at: bar0+0/4, read: \"1 + foo\""),
		"x.yaml:5:31: there is nothing here with the name \"foo\"");
	refused(TRAP("at: bar0+0/4, read: '1 + ''foo'"),
		"x.yaml:5:26: here must be a number, a name or a parenthesis, at \"'foo\"");
	/* 40 bytes of it at most, whole characters, and none that moves a cursor. */
	refused(TRAP("at: bar0+0/4, read: \"1 + \\e\\n0123456789012345678901234567890123456789\""),
		"x.yaml:5:26: here must be a number, a name or a parenthesis, at "
		"\"??01234567890123456789012345678901234567\"");
	refused(TRAP("at: bar0+0/4, read: \"\\x24 ab012345678901234567890123456789012345é\""),
		"x.yaml:5:26: here must be a number, a name or a parenthesis, at "
		"\"$ ab012345678901234567890123456789012345\"");
	/* Two characters for one of two bytes. */
	refused(TRAP("at: bar0+0/4, read: \"\\_ + foo\""),
		"x.yaml:5:26: here must be a number, a name or a parenthesis, at \"");
}

static void mistakes_in_edits(void **state)
{
	refused(HEAD "config: [{drop: foo}]\n", "x.yaml:4:17: here must be the name");
	refused(HEAD "config: [{drop: 010}]\n", "x.yaml:4:17: here must be the name");
	refused(TRAP("at: bar0+010/4, write: drop"), "x.yaml:5:15: a number has no leading zero");
	refused("quirk: x\nabout: a\nmatch: {vendor: 010}\nrom: {hide: true}\n",
		"x.yaml:3:17: here must be a number up to 0xffff, or VALUE/MASK");
	refused("quirk: x\nabout: a\nmatch: {vendor: 0x10/0f}\nrom: {hide: true}\n",
		"x.yaml:3:17: here must be a number up to 0xffff, or VALUE/MASK");
	refused(HEAD "config: [{drop: header}]\n", "x.yaml:4:17: here must be the name");
	refused(HEAD "config: [{drop: msi, edit: msi}]\n", "x.yaml:4:10: here must be one of");
	refused(HEAD "config: [{when: 1}]\n", "x.yaml:4:10: here must be one of");
	refused(HEAD "config: [{drop: msi, set: here.1(0) = 1}]\n",
		"x.yaml:4:22: \"set\" has no meaning for drop");
	refused(HEAD "config: [1]\n", "x.yaml:4:10: an edit of config space is a map");
	refused(HEAD "config: [{edit: msi, set: host.1(0) = 1}]\n",
		"x.yaml:4:27: host cannot be written here");
	refused(HEAD "rom: {set: host.1(0) = 1}\n", "x.yaml:4:12: host cannot be written here");
	refused(HEAD "rom: {file: .}\n", "x.yaml:4:13: the ROM's file must be beside");
	refused(HEAD "rom: {hide: 3}\n", "x.yaml:4:13: ");
	refused(HEAD "config: [{edit: msi}]\n", "x.yaml:4:10: edit needs \"set\"");
	refused(HEAD "config: [{insert: vendor, size: 8, set: here.1(2) = 8}]\n",
		"x.yaml:4:10: insert needs \"at\"");
	refused(HEAD "config: [{insert: vendor, at: 0x40, size: 2, set: here.1(2) = 8}]\n",
		"x.yaml:4:43: a capability has");
	refused(HEAD "config: [{insert: vendor, at: 0x40, size: 0xc1, set: here.1(2) = 8}]\n",
		"x.yaml:4:43: a capability of");
	refused(HEAD "config: [{insert: vendor, at: 0x40, size: 8, version: 2, set: here.1(2) = 8}]\n",
		"x.yaml:4:55: only extended");
	refused(HEAD "config: [{edit: msi, set: 5}]\n", "x.yaml:4:27: in an edit this does nothing");
	refused(HEAD "config: [{edit: msi, set: here.1(0)}]\n", "x.yaml:4:27: in an edit this does nothing");
	refused(HEAD "rom: {hide: true, set: rom.1(0) = 1}\n", "x.yaml:4:6: a ROM has either");
	refused(HEAD "rom: {when: 1}\n", "x.yaml:4:6: a ROM has either");
	refused(HEAD "rom: {file: ../x}\n", "x.yaml:4:13: the ROM's file must be beside");
	refused(HEAD "rom: {file: there-is-none.rom}\n",
		"x.yaml:4:13: the ROM's file \"there-is-none.rom\" cannot");
}

/* The line has these words. */
static void refused_for(const char *text, const char *words)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	assert_int_equal(bk_quirk_parse("x.yaml", text, strlen(text), &quirk, &err), -EINVAL);
	if (strncmp(err.text, "x.yaml:", 7) || !strstr(err.text, words))
		fail_msg("%s\n  has not \"%s\"", err.text, words);
}

static void accepted(const char *text)
{
	bk_quirk_destroy(parse(text));
}

#define HIDE "rom: {hide: true}\n"

static void names_begin_with_a_small_letter_and_are_short(void **state)
{
	static const char words[] = "a name has small letters";

	refused_for(HEAD "variables: {_a: 1}\n" HIDE, words);
	refused_for(HEAD "variables: {'{a': 1}\n" HIDE, words);
	refused_for(HEAD "variables: {aB: 1}\n" HIDE, words);
	refused_for(HEAD "variables: {a123456789b123456789c123456789d1: 1}\n" HIDE, words);
	accepted(HEAD "variables: {a123456789b123456789c123456789d: 1, z_9: 2}\n" HIDE);
}

static void more_than_there_is_room_for_is_told(void **state)
{
	char text[8192] = HEAD "options: {";

	for (unsigned i = 0; i < 9; i++)
		sprintf(text + strlen(text), "o%u: {about: x}, ", i);
	strcat(text, "}\n" HIDE);
	refused_for(text, "at most 8 options");
	strcpy(text, HEAD "variables: {");
	for (unsigned i = 0; i < 17; i++)
		sprintf(text + strlen(text), "v%u: 1, ", i);
	strcat(text, "}\n" HIDE);
	refused_for(text, "at most 16 variables");
	strcpy(text, HEAD "traps:\n  - {at: bar0+0/4, read: [");
	for (unsigned i = 0; i < 17; i++)
		sprintf(text + strlen(text), "%u, ", i);
	strcat(text, "]}\n");
	refused_for(text, "here must be 1 to 16 expressions");
	strcpy(text, "quirk: x\nabout: a\nmatch: {device: [");
	for (unsigned i = 0; i < 257; i++)
		sprintf(text + strlen(text), "%u, ", i);
	strcat(text, "]}\n" HIDE);
	refused_for(text, "here must be 1 to 256 ids");
	refused_for("quirk: x\nabout: a\nmatch: {device: []}\n" HIDE, "here must be 1 to 256 ids");
}

static void an_id_is_a_number_or_a_masked_one(void **state)
{
	static const char *const wrong[] = { "[[1]]", "{a: 1}", "0x1/0x10000", "1/2/3", "x/1" };
	char text[200];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "quirk: x\nabout: a\nmatch: {vendor: %s}\n" HIDE, wrong[i]);
		refused_for(text, "here must be a number up to 0xffff, or VALUE/MASK");
	}
	refused_for("quirk: x\nabout: a\nmatch: 5\n" HIDE, "match must be a map");
	refused_for("quirk: x\nabout: a\nmatch: {vendor: 1, bars: [{index: 0}, {index: 9}], when: 1}\n" HIDE,
		    "index must be a number");
}

static void options_and_variables_are_maps_of_what_they_are(void **state)
{
	refused_for(HEAD "options: {o: {about: x, colour: 1}}\n" HIDE, "no key \"colour\"");
	refused_for(HEAD "options: {o: {about: x, valid: [1]}}\n" HIDE, "not a list");
	refused_for(HEAD "options: {O: {about: x}, p: {about: y}}\n" HIDE, "a name has");
	refused_for(HEAD "variables: {v: [1]}\n" HIDE, "not a list");
}

static void places_of_traps_have_three_parts_in_order(void **state)
{
	static const char words[] = "here must be REGION+OFFSET/LENGTH";

	refused_for(TRAP("at: bar0/4+1, log: true"), words);
	refused_for(TRAP("at: +0/4, log: true"), words);
	refused_for(TRAP("at: bar+0/4, log: true"), words);
	refused_for(TRAP("at: bar00+0/4, log: true"), words);
	refused_for(TRAP("at: bar0+0/drop, log: true"), "OFFSET and LENGTH are numbers");
	refused_for(TRAP("at: bar0+drop/4, log: true"), "OFFSET and LENGTH are numbers");
	accepted(TRAP("at: vga+0x3c0/1, log: true"));
	accepted(TRAP("at: rom+0/size(6), read: 0"));
}

#define INSERT(at) HEAD "config: [{insert: vendor, size: 8, set: here.1(2) = 8, at: " at "}]\n"

static void where_a_capability_is_inserted_is_a_number(void **state)
{
	static const char words[] = "here must be numbers: offsets in config space";

	accepted(INSERT("0x40"));
	accepted(INSERT("[0x40, host.1(0x34) + 8]"));
	refused_for(INSERT("drop"), words);
	refused_for(INSERT("here.1(0) = 0x40"), words);
	refused_for(INSERT("[0x40, drop]"), words);
}

static void what_is_accelerated_passes_on_and_no_more(void **state)
{
	static const char words[] = "only a rule for a BAR";

	refused_for(TRAP("at: bar0+0/4, width: 4, write: device, accelerate: true"), words);
	refused_for(TRAP("at: bar0+0/4, log: true, write: device, accelerate: true"), words);
	refused_for(TRAP("at: bar0+0/4, write: [device, device], accelerate: true"), words);
	refused_for(TRAP("at: bar0+0/4, write: config(0), accelerate: true"), words);
	refused_for(HEAD "variables: {a: 0, b: 0, c: 0, d: 0, e: 0, f: 0, g: 0, h: 0}\n"
			 "traps: [{at: bar0+0/4, write: h(0), accelerate: true}]\n",
		    words);
	refused_for(TRAP("at: bar0+0/4, write: device = 1, accelerate: true"), words);
	refused_for(TRAP("at: vga+0x3c0/1, write: device, accelerate: true"), words);
	refused_for(TRAP("at: rom+0/4, write: device, accelerate: true"), words);
	accepted(TRAP("at: bar5+0/4, write: device, accelerate: true"));
	accepted(TRAP("at: bar5+0/4, write: [config(0), drop], accelerate: false"));
}

static void numbers_in_expressions_at_their_edges(void **state)
{
	accepted(TRAP("at: bar0+0/4, read: 0X1f + 0xffffffffffffffff + 18446744073709551615 + 0"));
	accepted(TRAP("at: bar0+0/4, read: \"\\t1\\n+ 2 \""));
	refused_for(TRAP("at: bar0+0/4, read: 18446744073709551616"), "more than 64 bits");
	refused_for(TRAP("at: bar0+0/4, read: 0y1"), "this is no number");
	refused_for(TRAP("at: bar0+0/4, read: 0Xg"), "digits after 0x");
	refused_for(TRAP("at: bar0+0/4, read: 1_"), "this is");
}

static void capabilities_in_expressions_at_their_edges(void **state)
{
	accepted(TRAP("at: bar0+0/4, read: cap(0xff) + ecap(0xffff) + ecap( sriov ) + cap(5) + cap(5)"));
	refused_for(TRAP("at: bar0+0/4, read: ecap(0x10000)"), "this is no capability's id");
	refused_for(TRAP("at: bar0+0/4, read: ecap(msi)"), "is no extended capability that has a name");
	refused_for(TRAP("at: bar0+0/4, read: "
			 "cap(a123456789b123456789c123456789d123456789e123456789)"),
		    "\"a123456789b123456789c123456789d123456789\" is no standard capability");
	/* A capability is looked for once, and a standard one is not the extended one with its id. */
	accepted(TRAP("at: bar0+0/4, read: cap(3) + ecap(3) + cap(vpd) + ecap(serial)"));
}

static void widths_of_places_at_their_edges(void **state)
{
	static const char words[] = "after the dot comes a width in bytes: 1, 2, 4 or 8";

	accepted(TRAP("at: bar0+0/4, read: config.1(0) + config.2(0) + config.4(0) + config.8(0)"));
	refused_for(TRAP("at: bar0+0/4, read: config.16(0)"), words);
	refused_for(TRAP("at: bar0+0/4, read: config.0(0)"), words);
	refused_for(TRAP("at: bar0+0/4, read: config.x(0)"), words);
	refused_for(TRAP("at: bar0+0/4, read: config."), words);
	refused_for(TRAP("at: bar0+0/4, write: '5 = 1'"), "what is left of =");
}

static void edits_of_extended_capabilities(void **state)
{
	static const char words[] = "here must be the name or the id of an extended capability";

	refused_for(HEAD "config: [{drop: msi, extended: true}]\n", words);
	refused_for(HEAD "config: [{drop: 0x10000, extended: true}]\n", words);
	refused_for(HEAD "config: [{drop: header, extended: true}]\n", words);
	refused_for(HEAD "config: [{edit: nothing, set: here.1(0) = 1}]\n", "a capability, or header");
	refused_for(HEAD "config: [{insert: header, at: 0x40, size: 8, set: here.1(2) = 8}]\n",
		    "here must be the name or the id of a capability");
	refused_for(HEAD "config: [{drop: 0x100}]\n", "here must be the name or the id of a capability");
	refused_for(HEAD
		    "config: [{insert: serial, extended: true, at: 0x100, size: 4, set: here.1(4) = 1}]\n",
		    "a capability has more than 4 bytes");
	refused_for(
		HEAD
		"config: [{insert: serial, extended: true, at: 0x100, size: 0xf01, set: here.1(4) = 1}]\n",
		"fits nowhere");
	accepted(HEAD "config: [{drop: 0xffff, extended: true}, {edit: header, set: here.1(8) = 1}]\n");
	accepted(HEAD "config: [{insert: serial, extended: true, version: 1, at: 0x100, size: 12, when: 1, "
		      "set: here.8(4) = 1}]\n");
	refused_for(HEAD "config: [{insert: vendor, at: foo, size: 8, set: here.1(2) = 8}]\n",
		    "the name \"foo\"");
	refused_for(HEAD "config: [{insert: vendor, at: 0x40, size: 8, when: foo, set: here.1(2) = 8}]\n",
		    "the name \"foo\"");
	refused_for(HEAD "config: [{drop: msi, colour: 1}]\n", "no key \"colour\"");
}

static void files_of_roms_are_names_of_regular_files_beside(void **state)
{
	static const char words[] = "the ROM's file must be beside";
	char text[400], directory[] = "/tmp/barkeep-rom-XXXXXX", file[64];
	struct bk_quirk *quirk;
	struct bk_error err;
	FILE *stream;

	refused_for(HEAD "rom: {file: ..}\n", words);
	refused_for(HEAD "rom: {file: a/b}\n", words);
	refused_for(HEAD "rom: {when: foo, set: rom.1(0) = 1}\n", "the name \"foo\"");
	refused_for(HEAD "rom: {file: x, checksum: 512}\n", "checksum must be a number");

	assert_non_null(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/x.rom", directory);
	static const char *const why[] = {
		"must be a regular file of at most 0x1000000 bytes",
		"is empty",
		"must be a regular file of at most 0x1000000 bytes",
		"the ROM's file \"x.rom\": not a ROM: it does not start with 55 aa",
	};

	for (unsigned i = 0; i < 4; i++) { /* a directory, an empty file, one that is too large, no ROM */
		if (i == 0)
			assert_int_equal(mkdir(file, 0700), 0);
		stream = i ? fopen(file, "w") : NULL;
		if (i == 2)
			assert_int_equal(ftruncate(fileno(stream), (16 << 20) + 1), 0);
		if (i == 3)
			fputs("no ROM", stream);
		if (stream)
			fclose(stream);
		strcpy(text, HEAD "rom: {file: x.rom}\n");
		snprintf(file + strlen(directory), sizeof(file) - strlen(directory), "/x.yaml");
		assert_int_equal(bk_quirk_parse(file, text, strlen(text), &quirk, &err), -EINVAL);
		assert_non_null(strstr(err.text, why[i]));
		snprintf(file + strlen(directory), sizeof(file) - strlen(directory), "/x.rom");
		assert_int_equal(remove(file), 0);
	}
	rmdir(directory);
	/* A path that is longer than any. */
	{
		static char name[5000], line[] = HEAD "rom: {file: x.rom}\n";

		memset(name, 'a', sizeof(name) - 1);
		memcpy(name, "/tmp/", 5);
		strcpy(name + sizeof(name) - 8, "/x.yaml");
		assert_int_equal(bk_quirk_parse(name, line, strlen(line), &quirk, &err), -EINVAL);
		assert_non_null(strstr(err.text, "the ROM's file has too long a path"));
	}
}

static void steps_of_a_reset_at_their_edges(void **state)
{
	refused_for(HEAD "reset: {steps: [{delay: 1, every: 1}]}\n", "every and go-on belong to poll");
	refused_for(HEAD "reset: {steps: [{delay: 1, go-on: true}]}\n", "every and go-on belong to poll");
	refused_for(HEAD "reset: {steps: [{delay: 1, timeout: 1}]}\n", "poll and timeout belong together");
	refused_for(HEAD "reset: {steps: [{poll: 1}]}\n", "poll and timeout belong together");
	refused_for(HEAD "reset: {steps: [{poll: foo, timeout: 1}]}\n", "the name \"foo\"");
	refused_for(HEAD "reset: {steps: [{when: foo, delay: 1}]}\n", "the name \"foo\"");
	refused_for(HEAD "reset: {steps: [{when: foo, require: 1}]}\n", "the name \"foo\"");
	accepted(HEAD
		 "reset: {steps: [{poll: 1, timeout: 2, every: 1, go-on: true}, {when: 1, require: 1}]}\n");
}

static void mistakes_in_resets(void **state)
{
	refused(HEAD "reset: {}\n", "x.yaml:4:8: ");
	refused(HEAD "reset: {steps: [{delay: 5000001}]}\n", "x.yaml:4:25: ");
	refused(HEAD "reset: {steps: [{delay: 5000000}, {delay: 1}]}\n",
		"x.yaml:4:35: this reset may take longer");
	refused(HEAD "reset: {steps: [{delay: 1, require: 1}]}\n", "x.yaml:4:17: a step has one of");
	refused(HEAD "reset: {steps: [{when: 1}]}\n", "x.yaml:4:17: a step has one of");
	refused(HEAD "reset: {steps: [{poll: 1}]}\n", "x.yaml:4:17: poll and timeout belong");
	refused(HEAD "reset: {steps: [{delay: 1, every: 1}]}\n", "x.yaml:4:17: every and go-on");
	refused(HEAD "reset: {steps: [[bar0.4(0) = 1]]}\n", "x.yaml:4:17: a step is an expression, or a map");
	refused(HEAD "reset: {steps: [config.4(0) = 1]}\n", "x.yaml:4:17: config cannot be used here");
}

static void options_are_described(void **state)
{
	struct bk_quirk *quirk =
		parse(HEAD "options: {one: {about: the first}, two: {about: b, default: 3}}\n"
			   "rom: {hide: true}\n");
	const char *about;

	assert_string_equal(bk_quirk_name(quirk), "x");
	assert_string_equal(bk_quirk_about(quirk), "a test");
	assert_string_equal(bk_quirk_option(quirk, 0, &about), "one");
	assert_string_equal(about, "the first");
	assert_string_equal(bk_quirk_option(quirk, 1, &about), "two");
	assert_null(bk_quirk_option(quirk, 2, &about));
	bk_quirk_destroy(quirk);
	bk_quirk_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_told_with_line_and_column),
		cmocka_unit_test(mistakes_in_names),
		cmocka_unit_test(what_a_quirk_is_about_is_one_line),
		cmocka_unit_test(mistakes_in_traps),
		cmocka_unit_test(mistakes_in_expressions),
		cmocka_unit_test(mistakes_in_folded_and_escaped_expressions),
		cmocka_unit_test(mistakes_in_edits),
		cmocka_unit_test(names_begin_with_a_small_letter_and_are_short),
		cmocka_unit_test(more_than_there_is_room_for_is_told),
		cmocka_unit_test(an_id_is_a_number_or_a_masked_one),
		cmocka_unit_test(options_and_variables_are_maps_of_what_they_are),
		cmocka_unit_test(places_of_traps_have_three_parts_in_order),
		cmocka_unit_test(where_a_capability_is_inserted_is_a_number),
		cmocka_unit_test(what_is_accelerated_passes_on_and_no_more),
		cmocka_unit_test(numbers_in_expressions_at_their_edges),
		cmocka_unit_test(capabilities_in_expressions_at_their_edges),
		cmocka_unit_test(widths_of_places_at_their_edges),
		cmocka_unit_test(edits_of_extended_capabilities),
		cmocka_unit_test(files_of_roms_are_names_of_regular_files_beside),
		cmocka_unit_test(steps_of_a_reset_at_their_edges),
		cmocka_unit_test(mistakes_in_resets),
		cmocka_unit_test(options_are_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
