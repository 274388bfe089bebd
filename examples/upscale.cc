// Upscale a picture with a bundle, without Python: `upscale BUNDLE INPUT.ppm OUTPUT.ppm`, for networks with 3 channels.
//
// `clipfree board build --target TARGET -o board` makes a folder with the two libraries of TVM that this needs. Then
//   g++ -std=c++17 -O2 upscale.cc -I "$(tvm-ffi-config --includedir)" -Wl,--no-as-needed board/libtvm_*.so
//       -Wl,-rpath,'$ORIGIN' -o board/upscale
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

namespace ffi = tvm::ffi;

struct Aligned {  // memory for a tensor, as vector instructions like it
  void AllocData(DLTensor* tensor) { tensor->data = std::aligned_alloc(64, (ffi::GetDataSize(*tensor) + 63) / 64 * 64); }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

int main(int count, char** words) try {
  if (count != 4) throw std::runtime_error("usage: upscale BUNDLE INPUT.ppm OUTPUT.ppm");
  setenv("TVM_THREAD_POOL_SPIN_COUNT", "200", 0);  // idle threads sleep soon, else this waits for them when it ends

  std::ifstream input(words[2], std::ios::binary);
  std::string kind;
  int64_t width = 0, height = 0, largest = 0;
  input >> kind >> width >> height >> largest;
  input.get();
  if (!input || kind != "P6" || largest != 255) throw std::runtime_error(std::string(words[2]) + " is no 8-bit P6 file");
  ffi::Tensor pixels = ffi::Tensor::FromNDAlloc(Aligned(), {height, width, 3}, DLDataType{kDLUInt, 8, 1}, DLDevice{kDLCPU, 0});
  input.read(static_cast<char*>(pixels.data_ptr()), pixels.numel());
  if (!input) throw std::runtime_error(std::string(words[2]) + " ends early");

  ffi::Module library = ffi::Module::LoadFromFile(std::string(words[1]) + "/model.so");
  ffi::Module network = library->GetFunction("vm_load_executable").value()().cast<ffi::Module>();
  network->GetFunction("vm_initialization").value()(int{kDLCPU}, 0, /*pooled memory*/ 2);
  ffi::Tensor large = network->GetFunction("main").value()(pixels).cast<ffi::Tensor>();

  std::ofstream output(words[3], std::ios::binary);
  output << "P6\n" << large.size(1) << " " << large.size(0) << "\n255\n";
  output.write(static_cast<const char*>(large.data_ptr()), large.numel());
  if (!output.flush()) throw std::runtime_error(std::string("cannot write ") + words[3]);
} catch (const std::exception& error) {
  std::cerr << "upscale: " << error.what() << "\n";
  return 1;
}
