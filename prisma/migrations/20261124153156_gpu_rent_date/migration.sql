-- AlterTable
ALTER TABLE "Gpu" ADD COLUMN     "usdPerHourAsOf" TEXT;
