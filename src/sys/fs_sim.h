/* fs_sim.h - a file system in memory that knows what is durable: for tests of what survives a
 * crash.
 *
 * Everything written is visible at once and durable only after a sync: of the file for its bytes,
 * of the directory for its names. A power failure keeps what is durable and an arbitrary part of
 * the rest, as disks do: unsynced writes of a file are dropped, torn, reordered or half there,
 * sector by sector; changes of names survive in the order they were made, up to some moment. A
 * killed process loses nothing but its descriptors.
 *
 *     power_off_at = n; run; sys_sim_power_failure(sim, rng) or sys_sim_kill(sim); run again
 *
 * Any thread. Memory holds all files: tests are small. */
#ifndef FL_SYS_FS_SIM_H
#define FL_SYS_FS_SIM_H

#include "base/rng.h"
#include "sys/fs.h"

typedef struct sys_sim sys_sim;

sys_sim *sys_sim_new(void); /* one directory, "/" */
void sys_sim_free(sys_sim *sim);
sys_fs sys_sim_fs(sys_sim *sim);

/* The nth call from now on that changes anything is the last: a write is cut after torn_bytes,
 * every other change does not happen, and all calls fail with RC_IO until the next kill or power
 * failure. 0: never. */
void sys_sim_power_off_at(sys_sim *sim, uint64_t nth, uint64_t torn_bytes);
bool sys_sim_is_off(sys_sim *sim);
uint64_t sys_sim_changes(sys_sim *sim); /* such calls so far */
/* The process is gone: descriptors and locks. What it wrote is there. */
void sys_sim_kill(sys_sim *sim);
/* The machine is gone: also what was not synced, as the disk pleases. */
void sys_sim_power_failure(sys_sim *sim, rng *r);
/* The bytes of a file, to damage them. NULL when there is none. Valid until it is written to. */
char *sys_sim_bytes(sys_sim *sim, str path, size_t *ret_bytes);
/* rename and link between this folder and others fail with EXDEV, as between file systems. */
void sys_sim_other_device(sys_sim *sim, str path);

#endif
