/* table_file.h - the bytes of a table. All numbers are little endian, digests in canonical order.
 *
 *   head       0  8  "VBTABLE\n"
 *              8  4  version, 1
 *             12  4  0
 *             16  8  number of lines, n
 *             24  8  size of the file
 *             32 16  XXH3-128 of bytes 0 to 31
 *   rows      48     n times, ascending by name:  name 32, offset of the entry 8
 *   entries          in the same order, one behind the other:
 *              0 16  XXH3-128 of the rest of the entry, seeded with the first 8 bytes of its name
 *             16  4  length of the text
 *             20  4  end, a vb_line_end
 *             24  4  attempts
 *             28  4  tokens of the prompt
 *             32  4  tokens chosen
 *             36     the text and a 0
 *
 * There is one file for a set of lines. A wrong head refuses the table; a wrong row finds nothing or an entry of another
 * name, whose check then does not fit; a wrong entry is not believed. So damage costs time and never changes a line.
 */
#ifndef VB_CAST_TABLE_FILE_H
#define VB_CAST_TABLE_FILE_H
#include <stdint.h>

#define VB_TABLE_MAGIC "VBTABLE\n"
enum { VB_TABLE_VERSION = 1, VB_TABLE_HEAD = 48, VB_TABLE_ROW = 40, VB_TABLE_ENTRY = 36, VB_TABLE_CHECK = 16 };

static inline uint64_t vb_table_get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline void vb_table_put(uint8_t *at, int bytes, uint64_t value)
{
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

#endif
