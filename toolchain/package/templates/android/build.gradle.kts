// @SUMMARY@. Made by clipfree.
// In settings.gradle.kts: include(":@NAME@"); in the app's build.gradle.kts: implementation(project(":@NAME@")).
plugins {
    id("com.android.library")
    id("org.jetbrains.kotlin.android") // for src/main/kotlin; without it, leave that folder out
}

android {
    namespace = "@PACKAGE@"
    compileSdk = 35
    defaultConfig {
        minSdk = 26 // HardwareBuffer
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf(@ABIS@) }
    }
}
