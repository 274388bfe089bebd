package @PACKAGE@;

import android.graphics.Bitmap;
import android.hardware.HardwareBuffer;

/**
 * @SUMMARY@.
 *
 * <p>Any thread may use a network; calls of one network wait for each other. Errors are exceptions with a sentence:
 * UnsupportedOperationException if this processor cannot run the network, IllegalArgumentException if a picture does not
 * fit, OutOfMemoryError.
 */
public final class Network implements AutoCloseable {
  static {
    System.loadLibrary("@NAME@_jni");
  }

  private long handle;

  /** Opens the network, with as many threads as there are cores. */
  public Network() {
    this(0);
  }

  /** Opens the network; a picture is cut among so many threads. 0: as many as there are cores. */
  public Network(int threads) {
    if (threads < 0) throw new IllegalArgumentException("threads cannot be less than none");
    handle = open(threads);
  }

  /** Returns a larger bitmap. {@code small} is ARGB_8888, opaque or not premultiplied. */
  public Bitmap upscale(Bitmap small) {
    long size = resultSize(small.getHeight(), small.getWidth());
    Bitmap large = Bitmap.createBitmap((int) size, (int) (size >> 32), Bitmap.Config.ARGB_8888);
    large.setHasAlpha(small.hasAlpha());
    large.setPremultiplied(small.isPremultiplied());
    upscale(small, large);
    return large;
  }

  /** Upscales into a bitmap of the result's size, which a program may use again and again: nothing is allocated then. */
  public synchronized void upscale(Bitmap small, Bitmap large) {
    if (small.hasAlpha() && small.isPremultiplied()) {
      throw new IllegalArgumentException("colours are multiplied by alpha: setHasAlpha(false) or setPremultiplied(false)");
    }
    upscaleBitmap(checked(), small, large);
  }

  /** Upscales between buffers of RGBA_8888 or RGBX_8888, whose usages are USAGE_CPU_READ_OFTEN and USAGE_CPU_WRITE_OFTEN. */
  public synchronized void upscale(HardwareBuffer small, HardwareBuffer large) {
    upscaleBuffer(checked(), small, large);
  }

  /** Returns the result's width. */
  public static int resultWidth(int height, int width) {
    return (int) resultSize(height, width);
  }

  /** Returns the result's height. */
  public static int resultHeight(int height, int width) {
    return (int) (resultSize(height, width) >> 32);
  }

  /** Gives back all that the network holds. */
  @Override
  public synchronized void close() {
    if (handle != 0) close(handle);
    handle = 0;
  }

  private long checked() {
    if (handle == 0) throw new IllegalStateException("the network is closed");
    return handle;
  }

  private static native long open(int threads);

  private static native void close(long handle);

  private static native long resultSize(int height, int width);

  private static native void upscaleBitmap(long handle, Bitmap small, Bitmap large);

  private static native void upscaleBuffer(long handle, HardwareBuffer small, HardwareBuffer large);
}
