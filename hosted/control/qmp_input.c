/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/qmp_input.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_reset(const struct pv_qmp_input *input, char c)
{
	unsigned char byte = (unsigned char)c;

	return byte == 0xff || (byte < ' ' && (input->quote || !is_space(c)));
}

static void restart(struct pv_qmp_input *input)
{
	input->bytes = 0;
	input->depth = 0;
	input->quote = 0;
	input->is_escaped = false;
	input->is_garbage = false;
	input->is_too_long = false;
	input->is_done = false;
}

static void store(struct pv_qmp_input *input, char c)
{
	if (input->bytes < input->text_max)
		input->text[input->bytes] = c;
	input->bytes++;
}

static void in_string(struct pv_qmp_input *input, char c)
{
	if (input->is_escaped) {
		input->is_escaped = false;
		/* \' is no escape of JSON's: the backslash that was stored becomes the quote. */
		if (c == '\'' && input->bytes <= input->text_max)
			input->text[input->bytes - 1] = '\'';
		else
			store(input, c);
	} else if (c == input->quote) {
		input->quote = 0;
		store(input, '"');
	} else {
		if (c == '"')
			store(input, '\\');
		input->is_escaped = c == '\\';
		store(input, c);
	}
}

static void in_message(struct pv_qmp_input *input, char c)
{
	if (c == '"' || c == '\'') {
		input->quote = c;
		c = '"';
	} else if (c == '{' || c == '[') {
		input->depth++;
	} else if (c == '}' || c == ']') {
		input->depth--;
	}
	store(input, c);
}

/* Between messages. Returns whether there is something new to report. */
static bool is_nonsense(struct pv_qmp_input *input, char c)
{
	bool was_garbage = input->is_garbage;

	input->is_garbage = !is_space(c);
	return input->is_garbage && !was_garbage;
}

static enum pv_qmp_found after_byte(struct pv_qmp_input *input)
{
	bool fits = input->bytes <= input->text_max;
	bool is_news = !fits && !input->is_too_long;

	input->is_too_long = !fits;
	if (input->depth == 0) {
		input->is_done = true;
		if (fits) {
			input->text[input->bytes] = '\0';
			return PV_QMP_MESSAGE;
		}
	}
	return is_news ? PV_QMP_TOO_LONG : PV_QMP_MORE;
}

static enum pv_qmp_found feed_byte(struct pv_qmp_input *input, char c)
{
	if (input->is_done)
		restart(input);
	if (is_reset(input, c)) {
		restart(input);
		return PV_QMP_GARBAGE;
	}
	if (input->depth == 0 && c != '{' && c != '[')
		return is_nonsense(input, c) ? PV_QMP_GARBAGE : PV_QMP_MORE;
	input->is_garbage = false;
	if (input->quote)
		in_string(input, c);
	else
		in_message(input, c);
	return after_byte(input);
}

size_t pv_qmp_input_feed(struct pv_qmp_input *input, const char *data, size_t bytes,
                         enum pv_qmp_found *found)
{
	*found = PV_QMP_MORE;
	for (size_t i = 0; i < bytes; i++) {
		*found = feed_byte(input, data[i]);
		if (*found != PV_QMP_MORE)
			return i + 1;
	}
	return bytes;
}
