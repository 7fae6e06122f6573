/* Makes a folder look like a network file system to libvirtd, which refuses to migrate a guest whose disk it takes for local.
 * In the lab the hosts do share that folder: they share the machine. Loaded into libvirtd with LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define NFS_SUPER_MAGIC 0x6969

static int shared(const char *path)
{
    const char *folder = getenv("PVC_LAB_SHARED");
    size_t length = folder ? strlen(folder) : 0;
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

int statfs(const char *path, struct statfs *found)
{
    int (*real)(const char *, struct statfs *) = dlsym(RTLD_NEXT, "statfs");
    int code = real(path, found);
    if (!code && shared(path))
        found->f_type = NFS_SUPER_MAGIC;
    return code;
}

int statfs64(const char *path, struct statfs64 *found)
{
    int (*real)(const char *, struct statfs64 *) = dlsym(RTLD_NEXT, "statfs64");
    int code = real(path, found);
    if (!code && shared(path))
        found->f_type = NFS_SUPER_MAGIC;
    return code;
}
