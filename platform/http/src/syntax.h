/* Character classes and small grammar of RFC 9110. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool http_is_token_char(uint8_t c);
bool http_is_token(const char *p, size_t len);
bool http_is_target_char(uint8_t c);
bool http_is_host_char(uint8_t c);
/* A control byte that may stand in no field value. */
bool http_is_control(uint8_t c);
/* Visits the comma-separated list in value; true when it has that token (case-insensitive). */
bool http_list_has(const char *value, const char *token);
