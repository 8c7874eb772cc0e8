/*
 * A stand-in for NVIDIA's libnvidia-ml.so.1, for tests of meters on machines without a GPU.
 *
 * It answers the NVML calls that carbonsched's meter, carbontracker and CodeCarbon make through
 * pynvml, with NVML's own shapes: return codes, opaque handles, the two-step list calls, reference
 * counts of nvmlInit. Its truth is a file mapped into memory, named by NVML_PLANT and laid out as
 * struct plant (nvml.py holds the same layout and writes it). Every field is an aligned 64-bit
 * word with one writer, so a reader never sees half of a number. For each device and class of
 * calls the file may order a return code and a wait. Raising driver_epoch is a driver that was
 * unloaded and loaded again: every call is NVML_ERROR_UNINITIALIZED until the next nvmlInit.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAGIC = 0x6e766d6c, DEVICES = 16, INSTANCES = 8, CLASSES = 8 };
enum { HANDLE, ENERGY, POWER, INSTANT, MIG, INFO, LIMIT };
enum {
  SUCCESS = 0,
  UNINITIALIZED = 1,
  INVALID_ARGUMENT = 2,
  NOT_SUPPORTED = 3,
  NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7,
  DRIVER_NOT_LOADED = 9,
};
enum { FIELD_POWER_INSTANT = 186, VALUE_UNSIGNED_INT = 1 };

struct instance {
  char uuid[96];
  uint64_t gi_id, ci_id, gi_slices, ci_slices;
};

struct device {
  char uuid[96], name[96], bus_id[32];
  uint64_t minor, energy_mj, power_mw, instant_mw, limit_mw, enforced_mw;
  uint64_t mig_mode, max_mig, instance_count;
  uint64_t error[CLASSES], wait_ms[CLASSES];
  struct instance instances[INSTANCES];
};

struct plant {
  uint64_t magic, count, init_error, count_error, driver_epoch, init_wait_ms, reserved[2];
  struct device devices[DEVICES];
};

/* An opaque nvmlDevice_t points into this table; column 0 is the GPU, the others its instances. */
struct handle {
  int device, instance;
};

static volatile struct plant *plant;
static struct handle handles[DEVICES][1 + INSTANCES];
static int users;
static uint64_t epoch;

static void wait_ms(uint64_t ms) {
  struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  if (ms) nanosleep(&time, NULL);
}

static int ready(void) {
  return plant && users > 0 && epoch == plant->driver_epoch ? SUCCESS : UNINITIALIZED;
}

/* The device behind a handle, after the wait and the error that were ordered for the class. */
static int call(const struct handle *handle, int class, volatile struct device **device) {
  if (ready()) return UNINITIALIZED;
  if (handle < &handles[0][0] || handle > &handles[DEVICES - 1][INSTANCES]) return INVALID_ARGUMENT;
  if ((uint64_t)handle->device >= plant->count) return INVALID_ARGUMENT;
  *device = &plant->devices[handle->device];
  wait_ms((*device)->wait_ms[class]);
  return (int)(*device)->error[class];
}

static int copy(char *to, unsigned size, const volatile char *from) {
  size_t length = strlen((const char *)from) + 1;
  if (!to) return INVALID_ARGUMENT;
  if (length > size) return INSUFFICIENT_SIZE;
  memcpy(to, (const char *)from, length);
  return SUCCESS;
}

/* Life */

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  const char *path = getenv("NVML_PLANT");
  if (!plant || users == 0) { /* as after nvmlShutdown: the file may be another */
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;
    if (file >= 0 && lseek(file, 0, SEEK_END) >= (off_t)sizeof(struct plant))
      map = mmap(NULL, sizeof(struct plant), PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (map == MAP_FAILED) return DRIVER_NOT_LOADED;
    if (plant) munmap((void *)plant, sizeof(struct plant));
    plant = map;
  }
  if (plant->magic != MAGIC) return DRIVER_NOT_LOADED;
  wait_ms(plant->init_wait_ms);
  if (plant->init_error) return (int)plant->init_error;
  if (epoch != plant->driver_epoch) users = 0;
  epoch = plant->driver_epoch;
  users++;
  for (int i = 0; i < DEVICES; i++)
    for (int j = 0; j <= INSTANCES; j++) handles[i][j] = (struct handle){i, j - 1};
  return SUCCESS;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
  if (ready()) return UNINITIALIZED;
  users--;
  return SUCCESS;
}

const char *nvmlErrorString(int code) {
  static const char *const texts[] = {
      "Success",
      "Uninitialized",
      "Invalid Argument",
      "Not Supported",
      "Insufficient Permissions",
      "Already Initialized",
      "Not Found",
      "Insufficient Size",
      "Insufficient External Power",
      "Driver Not Loaded",
      "Timeout",
      "Interrupt Request Issue",
      "NVML Shared Library Not Found",
      "Function Not Found",
      "Corrupted infoROM",
      "GPU is lost",
      "GPU requires restart",
      "The operating system has blocked the request.",
      "RM has detected an NVML/RM version mismatch.",
  };
  return code >= 0 && code < (int)(sizeof texts / sizeof *texts) ? texts[code] : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) {
  return ready() ? UNINITIALIZED : copy(version, size, "570.0");
}

/* Devices */

int nvmlDeviceGetCount_v2(unsigned *count) {
  if (ready()) return UNINITIALIZED;
  if (!count) return INVALID_ARGUMENT;
  *count = (unsigned)plant->count;
  return (int)plant->count_error;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct handle **handle) {
  volatile struct device *device;
  if (ready()) return UNINITIALIZED;
  if (index >= plant->count || !handle) return INVALID_ARGUMENT;
  *handle = &handles[index][0];
  return call(*handle, HANDLE, &device);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct handle **handle) {
  if (ready()) return UNINITIALIZED;
  if (!uuid || !handle) return INVALID_ARGUMENT;
  for (unsigned i = 0; i < plant->count; i++)
    if (!strcmp(uuid, (const char *)plant->devices[i].uuid))
      return nvmlDeviceGetHandleByIndex_v2(i, handle);
  return NOT_FOUND;
}

int nvmlDeviceGetUUID(struct handle *handle, char *uuid, unsigned size) {
  volatile struct device *device;
  int code = call(handle, INFO, &device);
  if (code) return code;
  if (handle->instance < 0) return copy(uuid, size, device->uuid);
  return copy(uuid, size, device->instances[handle->instance].uuid);
}

int nvmlDeviceGetName(struct handle *handle, char *name, unsigned size) {
  volatile struct device *device;
  int code = call(handle, INFO, &device);
  return code ? code : copy(name, size, device->name);
}

/* A call of the class that answers with one number; instances of a GPU do not have it. */
#define NUMBER(name, class, type, value)                    \
  int name(struct handle *handle, type *number) {           \
    volatile struct device *device;                         \
    int code = call(handle, class, &device);                \
    if (code) return code;                                  \
    if (!number) return INVALID_ARGUMENT;                   \
    if (handle->instance >= 0) return NOT_SUPPORTED;        \
    *number = (type)(value);                                \
    return SUCCESS;                                         \
  }

NUMBER(nvmlDeviceGetIndex, INFO, unsigned, handle->device)
NUMBER(nvmlDeviceGetMinorNumber, INFO, unsigned, device->minor)
NUMBER(nvmlDeviceGetTotalEnergyConsumption, ENERGY, unsigned long long, device->energy_mj)
NUMBER(nvmlDeviceGetPowerUsage, POWER, unsigned, device->power_mw)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, LIMIT, unsigned, device->enforced_mw)
NUMBER(nvmlDeviceGetPowerManagementLimit, INFO, unsigned, device->enforced_mw)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, INFO, unsigned, device->limit_mw)
NUMBER(nvmlDeviceGetComputeMode, INFO, unsigned, 0)

int nvmlDeviceGetPowerManagementLimitConstraints(struct handle *handle, unsigned *least,
                                                 unsigned *most) {
  if (!least) return INVALID_ARGUMENT;
  *least = 100000;
  return nvmlDeviceGetPowerManagementDefaultLimit(handle, most);
}

struct field_value {
  uint32_t field, scope;
  int64_t timestamp, latency;
  uint32_t type;
  int32_t code;
  union {
    uint64_t whole;
    uint32_t half;
  } value;
};

int nvmlDeviceGetFieldValues(struct handle *handle, int count, struct field_value *values) {
  volatile struct device *device;
  int code = call(handle, INSTANT, &device);
  if (code == UNINITIALIZED || code == INVALID_ARGUMENT) return code;
  for (int i = 0; i < count; i++) {
    values[i].code = values[i].field == FIELD_POWER_INSTANT ? code : NOT_SUPPORTED;
    values[i].type = VALUE_UNSIGNED_INT;
    values[i].value.half = (uint32_t)device->instant_mw;
  }
  return SUCCESS;
}

/* Multi-instance GPUs */

int nvmlDeviceGetMigMode(struct handle *handle, unsigned *current, unsigned *pending) {
  volatile struct device *device;
  int code = call(handle, MIG, &device);
  if (code) return code;
  if (!device->max_mig) return NOT_SUPPORTED;
  *current = *pending = (unsigned)device->mig_mode;
  return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(struct handle *handle, unsigned *count) {
  volatile struct device *device;
  int code = call(handle, MIG, &device);
  if (code) return code;
  *count = (unsigned)device->max_mig;
  return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct handle *handle, unsigned index,
                                        struct handle **instance) {
  volatile struct device *device;
  int code = call(handle, MIG, &device);
  if (code) return code;
  if (index >= device->max_mig) return INVALID_ARGUMENT;
  if (!device->mig_mode || index >= device->instance_count) return NOT_FOUND;
  *instance = &handles[handle->device][1 + index];
  return SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct handle *handle, struct handle **parent) {
  volatile struct device *device;
  int code = call(handle, MIG, &device);
  if (code) return code;
  if (handle->instance < 0) return INVALID_ARGUMENT;
  *parent = &handles[handle->device][0];
  return SUCCESS;
}

int nvmlDeviceIsMigDeviceHandle(struct handle *handle, unsigned *answer) {
  volatile struct device *device;
  int code = call(handle, MIG, &device);
  if (code) return code;
  *answer = handle->instance >= 0;
  return SUCCESS;
}

struct attributes {
  unsigned multiprocessors, copy, decode, encode, jpeg, ofa, gi_slices, ci_slices;
  unsigned long long memory_mb;
};

int nvmlDeviceGetAttributes_v2(struct handle *handle, struct attributes *attributes) {
  volatile struct device *device;
  int code = call(handle, MIG, &device);
  if (code) return code;
  if (handle->instance < 0) return NOT_SUPPORTED;
  memset(attributes, 0, sizeof *attributes);
  attributes->gi_slices = (unsigned)device->instances[handle->instance].gi_slices;
  attributes->ci_slices = (unsigned)device->instances[handle->instance].ci_slices;
  return SUCCESS;
}

/* What other tools ask beside energy: a GPU at rest, with nobody on it. */

int nvmlDeviceGetMemoryInfo(struct handle *handle, unsigned long long *memory) {
  volatile struct device *device;
  int code = call(handle, INFO, &device);
  if (code) return code;
  memory[0] = memory[1] = 80ULL << 30; /* total, free */
  memory[2] = 0;                       /* used */
  return SUCCESS;
}

int nvmlDeviceGetTemperature(struct handle *handle, unsigned sensor, unsigned *celsius) {
  volatile struct device *device;
  int code = call(handle, INFO, &device);
  (void)sensor;
  if (!code) *celsius = 40;
  return code;
}

int nvmlDeviceGetUtilizationRates(struct handle *handle, unsigned *rates) {
  volatile struct device *device;
  int code = call(handle, INFO, &device);
  if (!code) rates[0] = rates[1] = 0; /* gpu, memory */
  return code;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct handle *handle, unsigned *count, void *list) {
  volatile struct device *device;
  int code = call(handle, INFO, &device);
  (void)list;
  if (!code) *count = 0;
  return code;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct handle *handle, unsigned *count, void *list) {
  return nvmlDeviceGetComputeRunningProcesses_v3(handle, count, list);
}
